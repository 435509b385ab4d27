"""What this host does when it becomes Active, and how it is given back."""
