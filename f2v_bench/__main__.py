"""Entry point of ``python -m f2v_bench``, the same as ``f2v-bench``."""

from f2v_bench.cli.main import main

if __name__ == "__main__":
    main()
