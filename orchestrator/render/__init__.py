"""What the engines will read: views decide, templates place text."""
