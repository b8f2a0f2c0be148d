"""Runs a function in several threads at once."""

import threading


def in_threads(function, count=4):
    """Calls function(thread number) in this many threads at once; returns their exceptions."""
    errors = []
    start = threading.Barrier(count)

    def run(number):
        start.wait()
        try:
            function(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors
