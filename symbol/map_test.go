package symbol

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

const gnuMapText = `Archive member included to satisfy reference by file (symbol)

libgcc.a(_divsi3.o)           sensor.o (__aeabi_idiv)

Discarded input sections

 .text.never_called
                0x00000000       0x20 sensor.o
                0x00000000                never_called

Memory Configuration

Name             Origin             Length             Attributes
FLASH            0x08000000         0x00100000         xr
*default*        0x00000000         0xffffffff

Linker script and memory map

LOAD sensor.o
                0x20020000                        _estack = (ORIGIN (RAM) + LENGTH (RAM))
                [!provide]                        PROVIDE (__end = .)

.isr_vector     0x08000000      0x100
                0x08000000                        . = ALIGN (0x4)
 *(.isr_vector)
 .isr_vector    0x08000000      0x100 startup.o
                0x08000000                g_pfnVectors

.text           0x08000100      0x700
 *(.text)
 .text          0x08000100       0x40 uart.o
                0x08000110                uart_open
                0x08000120                uart_write
 *(.text*)
 .text.sensor_read_sample_of_channel
                0x08000140       0x74 sensor.o
                0x08000140                sensor_read_sample_of_channel
 .text.local_of_sensor
                0x080001b4       0x10 sensor.o
 *fill*         0x080001c4        0xc
 .text.unlikely.panic
                0x080001d0       0x10 sensor.o
 .text._ZN3geo5ShapeC2Ei
                0x080001e0       0x10 shape.o
                0x080001e0                geo::Shape::Shape(int)
                0x080001e0                _ZN3geo5ShapeC1Ei
 .rodata.table  0x08000200       0x40 sensor.o
                0x08000200                table
                0x08000240                        _etext = .

.ramfunc        0x20000000       0x20 load address 0x08000240
 .ramfunc       0x20000000       0x20 flash.o
                0x20000000                flash_erase

.data           0x20000020       0x10
 .data.counter  0x20000020        0x4 sensor.o
                0x20000020                counter

.debug_info     0x00000000     0x1000
 .debug_info    0x00000000     0x1000 sensor.o

Cross Reference Table

Symbol                                            File
uart_open                                         uart.o
`

const armlinkMapText = `Component: ARM Compiler 5.06 update 6 (build 750) Tool: armlink [4d3637]

==============================================================================

Section Cross References

    startup.o(RESET) refers to startup.o(STACK) for __initial_sp

==============================================================================

Image Symbol Table

    Local Symbols

    Symbol Name                              Value     Ov Type        Size  Object(Section)

    ../clib/microlib/init/entry.s            0x00000000   Number         0  entry.o ABSOLUTE
    sensor.c                                 0x00000000   Number         0  sensor.o ABSOLUTE
    RESET                                    0x08000000   Section      392  startup.o(RESET)
    $v0                                      0x08000188   Number         0  entry.o(.ARM.Collect$$$$00000000)
    i.local_of_sensor                        0x08000200   Section        0  sensor.o(i.local_of_sensor)
    local_of_sensor                          0x08000201   Thumb Code    20  sensor.o(i.local_of_sensor)
    .text                                    0x080001d0   Section       36  startup.o(.text)
    counter                                  0x20000000   Data           4  sensor.o(.data)

    Global Symbols

    Symbol Name                              Value     Ov Type        Size  Object(Section)

    BuildAttributes$$THM_ISAv4$P$D$K$B$S$PE$A:L22UL41UL21$X:L11 0x00000000   Number         0  anon$$obj.o ABSOLUTE
    __ARM_use_no_argv                        0x00000000   Number         0  main.o ABSOLUTE
    _printf_flags                             - Undefined Weak Reference
    __Vectors                                0x08000000   Data           4  startup.o(RESET)
    Reset_Handler                            0x080001d1   Thumb Code     8  startup.o(.text)
    geo::Shape::size(int, const char*)       0x08000301   Thumb Code    16  shape.o(i._ZN3geo5Shape4sizeEiPKc)
    sensor_read                              0x08000215   Thumb Code    44  sensor.o(i.sensor_read)
    slow_copy                                0x08000400   ARM Code      32  copy.o(.text)
    boot_main                                0x0000000000001000   A64 Code      32  boot.o(.text)
    overlaid                                 0x08000500   1 Thumb Code  32  over.o(.text)

==============================================================================

Memory Map of the image

  Image Entry point : 0x08000189
    wrong                                    0x08000700   Thumb Code    20  wrong.o(i.wrong)
`

func TestMaps(t *testing.T) {
	for _, c := range []struct {
		kind, text string
		want       map[heap.Addr]string
	}{
		{"GNU ld map", gnuMapText, map[heap.Addr]string{
			0x08000108: "", // a local function that the map does not name
			0x08000115: "uart_open",
			0x08000120: "uart_open",
			0x08000131: "uart_write",
			0x08000140: "uart_write",
			0x08000143: "sensor_read_sample_of_channel",
			0x080001b4: "sensor_read_sample_of_channel",
			0x080001b7: "local_of_sensor",
			0x080001c5: "local_of_sensor", // returns behind its last byte
			0x080001ca: "",                // fill
			0x080001d9: "panic",
			0x080001e9: "geo::Shape::Shape(int)",
			0x08000211: "", // rodata
			0x20000011: "flash_erase",
			0x20000023: "", // data
			0x11:       "", // discarded
		}},
		{"armlink map", armlinkMapText, map[heap.Addr]string{
			0x08000005: "",
			0x08000209: "local_of_sensor",
			0x08000215: "local_of_sensor",
			0x08000219: "sensor_read",
			0x080001d5: "Reset_Handler",
			0x080001e5: "", // behind it
			0x08000309: "geo::Shape::size(int, const char*)",
			0x08000408: "slow_copy",
			0x1008:     "boot_main",
			0x08000509: "overlaid",
			0x08000709: "", // not in the symbol table
			0x20000003: "",
		}},
	} {
		for _, text := range []string{c.text, strings.ReplaceAll(c.text, "\n", "\r\n")} {
			path := filepath.Join(t.TempDir(), "firmware.map")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			tab, err := Open(path)
			if err != nil {
				t.Error(err)
				continue
			}
			if tab.Kind() != c.kind || tab.ELF() || tab.Lines() || tab.Mappings() != nil || tab.Partial() != "" {
				t.Errorf("%s, ELF %v, lines %v, %v, %q", tab.Kind(), tab.ELF(), tab.Lines(), tab.Mappings(), tab.Partial())
			}
			for lr, want := range c.want {
				if got := name(tab, lr); got != want {
					t.Errorf("%s: %v is in %q, want %q", c.kind, lr, got, want)
				}
			}
		}
	}
}

func TestMapErrors(t *testing.T) {
	for _, text := range []string{"", "nothing", "Linker script and memory map\n", "Image Symbol Table\n\nfoo bar\n", strings.Repeat("x", 1<<20)} {
		if _, err := ReadGNUMap(strings.NewReader(text)); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("%.30q as a GNU map: %v", text, err)
		}
		if _, err := ReadArmlinkMap(strings.NewReader(text)); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("%.30q as an armlink map: %v", text, err)
		}
	}
}

// What GNU ld really writes names every function that its symbol table has.
func TestMapOfFirmware(t *testing.T) {
	for _, g := range []target{arm, targets()[3]} {
		file := g.build(t, t.TempDir(), "-O2 -g -ffunction-sections")
		nm := tool(t, g.prefix+"nm", g.binutils())
		fromMap, err := Open(file + ".map")
		if err != nil {
			t.Fatal(err)
		}
		if fromMap.Kind() != "GNU ld map" {
			t.Error(fromMap.Kind())
		}
		fromNM, err := ReadNM(strings.NewReader(string(execute(t, nm, "-n", "-S", file))))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for in := bufio.NewScanner(strings.NewReader(string(execute(t, nm, "-n", "-S", "--defined-only", file)))); in.Scan(); {
			s, ok := parseNM(in.Text())
			if !ok || s.rank == notFunction || s.size == 0 {
				continue
			}
			count++
			lr := heap.Addr(s.addr&^1 + s.size/2 + 1)
			a, b := name(fromMap, lr), name(fromNM, lr)
			// The map has parameters, and (anonymous namespace).
			if withoutClone(a) != withoutClone(b) && !strings.HasPrefix(a, b+"(") {
				t.Errorf("%s: %v is in %q, by nm in %q", g.name, lr, a, b)
			}
		}
		if count < 8 {
			t.Errorf("%s: only %d functions", g.name, count)
		}
	}
}

func FuzzGNUMap(f *testing.F) {
	f.Add(gnuMapText)
	f.Add("Linker script and memory map\n .text.f\n 0x10 0x10 a.o\n\n .text 0xffffffffffffffff 0xffffffffffffffff a.o\n  0x0 x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if tab, err := ReadGNUMap(strings.NewReader(text)); err == nil {
			check(t, tab)
		}
	})
}

func FuzzArmlinkMap(f *testing.F) {
	f.Add(armlinkMapText)
	f.Add("Image Symbol Table\nf 0xffffffffffffffff Thumb Code 99999999999999999999 a.o\ng 0x00000000 Code\n 0x10 0x10 Code 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if tab, err := ReadArmlinkMap(strings.NewReader(text)); err == nil {
			check(t, tab)
		}
	})
}
