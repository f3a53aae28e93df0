"""The command `preview`: one page that shows what a dataset holds, and works from disk in any browser."""
