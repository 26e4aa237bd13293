package console

import "slices"

// Values of Reader.Systems.
const (
	SystemLiteOS      = "LiteOS" // Huawei LiteOS 5.0 and before
	SystemOpenHarmony = "OpenHarmony LiteOS"
	SystemNuttX       = "NuttX"
	SystemESPIDF      = "ESP-IDF"
	SystemRTThread    = "RT-Thread"
	SystemZephyr      = "Zephyr"
)

// systems is what tells where a log comes from: listings, and texts that only
// one system prints: its boot messages and prompts, and reports of its own.
var systems = []struct {
	name     string
	dialects []*dialect
	texts    []string
}{
	{SystemLiteOS, []*dialect{&liteos}, []string{"Huawei LiteOS #", "Hello Huawei LiteOS", "LiteOS Kernel Version"}},
	{SystemOpenHarmony, []*dialect{&liteosA, &liteosM}, []string{"OHOS # ", "OHOS:/$ ", "entering kernel init"}},
	{SystemNuttX, []*dialect{&nuttx}, []string{"NuttShell (NSH)", "nsh> ", "kasan detected a "}},
	{SystemESPIDF, []*dialect{&espidf}, []string{"ets Jun ", "ets Jul ", "ESP-ROM:", "ESP-IDF v", "cpu_start: ", "heap_init: ", "tlsf.c:"}},
	{SystemRTThread, []*dialect{&rtthread}, []string{"- RT -     Thread Operating System", "msh />", "msh >"}},
	{SystemZephyr, []*dialect{&zephyr}, []string{"*** Booting Zephyr OS", "***** BOOTING ZEPHYR OS", "uart:~$ ", "corrupted heap bounds", "unexpected heap state"}},
}

// A systemSet has bit i for systems[i].
type systemSet uint16

// systemTexts finds the system that a line is from.
var systemTexts = func() *textSet {
	s := new(textSet)
	for i, system := range systems {
		for _, text := range system.texts {
			s.add(text, 1<<i)
		}
	}
	return s
}()

// systemOf returns the system that prints a dialect.
func systemOf(d *dialect) systemSet {
	for i, system := range systems {
		if slices.Contains(system.dialects, d) {
			return 1 << i
		}
	}
	return 0
}

// Systems returns the names of the operating systems whose boot messages,
// prompts or listings the log has shown so far: several if it is not one
// device's, none if nothing tells.
func (r *Reader) Systems() []string {
	var names []string
	for i, system := range systems {
		if r.systems>>i&1 != 0 {
			names = append(names, system.name)
		}
	}
	return names
}
