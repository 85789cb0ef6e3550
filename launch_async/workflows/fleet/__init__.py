"""Bulk operations that finish, and finish once: select, plan, run, resume, report."""
