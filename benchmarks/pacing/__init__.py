"""The controller behind `--rate auto` against simulated servers, beside a fixed rate, AIMD and a cubic controller."""
