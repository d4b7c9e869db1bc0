"""The other end of a worker's pipe, for tests that measure a cell in their own process."""

import time


class Parent:
    """It keeps what it is sent, and answers every request for the baton after `seconds`, or is gone: `answer` None."""

    def __init__(self, answer=("go",), seconds=0.0):
        self.answer, self.seconds, self.heard = answer, seconds, []

    def send(self, message):
        self.heard.append(message)

    def recv(self):
        if self.answer is None:
            raise EOFError
        time.sleep(self.seconds)                        # the turns of peers
        return self.answer
