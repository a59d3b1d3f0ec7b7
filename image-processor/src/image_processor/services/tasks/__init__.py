"""Operations on tasks for users: create, list, follow, cancel, restart, delete."""
