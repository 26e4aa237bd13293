package damage

import "strings"

// whole is what is true of every system.
const whole = "a log without reports does not prove the heap intact: "

// silence says for each system, by the names of console.Reader.Systems, which
// of its reports are understood, and what it says nothing about.
var silence = map[string][]string{
	"LiteOS": {
		whole + "without the integrity check memcheck prints nothing even on a damaged heap, an overflow that ends within the backup at the start of the next node goes unnoticed, and many wrong frees only return an error code",
		"a dump of the pool's memory shows such damage: the first bytes of each node against the header that they are a backup of, magics and checksums of nodes that were never freed, and links between nodes",
	},
	"OpenHarmony LiteOS": {
		whole + "of OpenHarmony, the reports of the integrity check are understood (LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK), which finds overwritten headers only, and only when it runs",
	},
	"NuttX": {
		whole + "no reports of NuttX are understood, neither those of its address sanitizer nor assertions of its heap: look for kasan and assert in the log",
	},
	"ESP-IDF": {
		whole + "of ESP-IDF, the CORRUPT HEAP lines are understood, which only come with heap poisoning (CONFIG_HEAP_POISONING_LIGHT or COMPREHENSIVE) and when memory is freed or heap_caps_check_integrity is called",
	},
	"RT-Thread": {
		whole + "of RT-Thread, rows of memtrace marked ***, and what memcheck and a free of a bad block print, are understood; overflows into padding or payload behind it go unnoticed",
	},
	"Zephyr": {
		whole + "no reports of Zephyr are understood; those of its heap are assertions (CONFIG_ASSERT, CONFIG_SYS_HEAP_VALIDATE): look for ASSERTION FAIL in the log",
	},
}

// Silence says what it means that a log with nothing to explain has no reports.
// systems are those that it is from, by the names that console.Reader.Systems
// uses; none if that is not known.
func Silence(systems []string) []string {
	var notes []string
	for _, s := range systems {
		notes = append(notes, silence[s]...)
	}
	if len(notes) > 0 {
		return notes
	}
	if len(systems) > 0 {
		return []string{whole + "no reports of " + strings.Join(systems, " and ") + " are understood"}
	}
	return []string{whole + "understood are those of LiteOS, OpenHarmony LiteOS, ESP-IDF and RT-Thread, and nothing in this log shows which system it is from"}
}
