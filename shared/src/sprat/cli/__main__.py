"""`python -m sprat.cli` is `sprat`, for installations whose scripts are not on the PATH."""

from sprat.cli.entry import main

if __name__ == "__main__":
    main()
