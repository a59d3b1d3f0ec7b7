"""Access control: API keys and their owners, protection against cross-site requests, and the audit trail."""
