"""``yoloslim data``: one module a sub-command."""
