"""The validator: hold JSONL files, images and manifests against the rules, and say all that is wrong."""

from phi3v_data.validate.output import render_json, render_text
from phi3v_data.validate.result import Result, exit_code
from phi3v_data.validate.runner import validate

__all__ = ["Result", "exit_code", "render_json", "render_text", "validate"]
