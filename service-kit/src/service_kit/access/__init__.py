"""Who may: keys and their owners, the guard against foreign web pages, and the audit trail."""
