# Writes, for each directory given, what Kconfiglib makes of Kconfig and the
# assignments in it: out.config and out.min, or out.error.
import os
import sys

os.environ["CONFIG_"] = ""
import kconfiglib

for d in sys.argv[1:]:
    os.chdir(d)
    try:
        k = kconfiglib.Kconfig("Kconfig", warn=False)
        if os.path.exists("in.config"):
            k.load_config("in.config")
        k.write_config("out.config", header="# head\n", save_old=False)
        k.write_min_config("out.min", header="")
    except (kconfiglib.KconfigError, RecursionError) as e:
        with open("out.error", "w") as f:
            f.write(str(e))
