"""What runs inside the user's program: it records, it ships, and it never hurts."""
