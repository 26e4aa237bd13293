#!/bin/sh
# Builds the small programs beside this file from the test firmware, with the
# cross compilers of Debian 12.
set -e
cd "$(dirname "$0")/../firmware"
out=../elf
common="-ffreestanding -nostdlib -nostartfiles -fno-asynchronous-unwind-tables -fdebug-prefix-map=$PWD=/firmware -Wl,-e,main -Wl,--gc-sections -Wl,--build-id=sha1 -Wl,-z,max-page-size=64"
src="heap.c queue.c main.c shapes.c"
arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -O2 -gdwarf-4 -ffunction-sections $common $src -o $out/thumb-O2-dwarf4.elf -lgcc
arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -O2 -gdwarf-2 -gstrict-dwarf $common $src -o $out/thumb-dwarf2.elf -lgcc
riscv64-unknown-elf-gcc -march=rv32imac -mabi=ilp32 -O2 -gdwarf-5 -ffunction-sections $common $src -o $out/riscv32-O2-dwarf5.elf -lgcc
aarch64-linux-gnu-gcc -static -O2 -gdwarf-5 -gz=zlib $common $src -o $out/aarch64-O2-dwarf5-zlib.elf
