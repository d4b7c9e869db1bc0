"""The report of one or several runs, as a page, as Markdown, in a notebook."""
