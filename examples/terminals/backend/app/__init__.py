"""The backend of the terminals example: accounts, and shells on pseudo-terminals over Socket.IO.

`main.py` puts it together; `settings.py` has every environment variable that it looks at.
"""
