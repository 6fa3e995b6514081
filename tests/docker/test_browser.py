"""The page of examples/terminals in a real browser, in front of its container."""

import unittest

from browser import check_page
from container import Container
from engine import client


class Browser(unittest.TestCase):
    def test_a_user_registers_works_in_two_terminals_while_the_backend_is_killed_and_logs_out(self):
        with Container() as container:
            container.becomes_healthy()
            kill = f"{client()} exec {container.name} foster signal KILL backend"
            check_page("terminals", BASE_URL=container.url, KILL_BACKEND=kill)
