// Package firmware says what a device's configuration means for whoever looks for
// a fault in its heap: what is recorded, what the shell's commands can show, what
// it costs, and what to switch on.
package firmware

import (
	"fmt"
	"strconv"

	"github.com/heapwright/heapwright/image/layout"
)

// A Report is what a configuration means.
type Report struct {
	// LiteOS says that the configuration is one of LiteOS, Known that its heap
	// is one that can be read; Doubts says why not.
	LiteOS bool `json:"liteos"`
	Known  bool `json:"known"`
	// Layout is the node layout that follows from it.
	Layout string `json:"layout,omitempty"`
	// HeadBytes is the length of a node's head, in bytes: what every allocation
	// costs.
	HeadBytes int       `json:"head_bytes,omitempty"`
	Features  []Feature `json:"features"`
	// Commands says what commands of the device's shell show, Dump what the
	// verbs of heapwright show of a dump of its RAM.
	Commands []Command `json:"commands"`
	Dump     []Command `json:"dump"`
	// Advice says what to switch on to find a fault of some kind.
	Advice []Advice `json:"advice"`
	Doubts []string `json:"doubts,omitempty"`
}

// A Feature is one that a firmware can have.
type Feature struct {
	Symbol string `json:"symbol"`
	Name   string `json:"name"`
	On     bool   `json:"on"`
	// NodeBytes is what it costs a node, in bytes; with the other features as
	// they are.
	NodeBytes int    `json:"node_bytes"`
	Gives     string `json:"gives"`
	Cost      string `json:"cost,omitempty"` // besides NodeBytes
}

// A Command is one of the device's shell, or a verb.
type Command struct {
	Name  string `json:"name"`
	Works bool   `json:"works"`
	Shows string `json:"shows"`
}

// Advice is what to do about one kind of fault.
type Advice struct {
	Fault string `json:"fault"`
	Do    string `json:"do"`
	// Set has the symbols to switch on; none if everything needed is.
	Set []string `json:"set,omitempty"`
}

// Explain says what a configuration means, given as symbols and values: y, a
// number, a text. Symbols that are off are absent or n.
func Explain(c map[string]string) *Report {
	e := explainer{c: c}
	e.Features, e.Commands, e.Dump, e.Advice = []Feature{}, []Command{}, []Command{}, []Advice{}
	e.layout()
	if e.Known {
		e.features()
		e.commands()
		e.dump()
	}
	if e.LiteOS {
		e.advice()
	}
	return &e.Report
}

type explainer struct {
	Report
	c     map[string]string
	l     layout.LiteOS
	tasks int
}

func (e *explainer) on(symbol string) bool { return e.c[symbol] == "y" }

func (e *explainer) doubt(format string, args ...any) {
	e.Doubts = append(e.Doubts, fmt.Sprintf(format, args...))
}

// number returns the value of an int, or def if there is none that makes sense.
func (e *explainer) number(symbol string, def, most int) int {
	text, ok := e.c[symbol]
	if !ok {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		e.doubt("%s=%s makes no sense: 1 to %d is possible; %d is assumed", symbol, text, most, def)
		return def
	}
	return n
}

func (e *explainer) layout() {
	any := false
	for name := range e.c {
		any = any || len(name) > 7 && name[:7] == "LOSCFG_"
	}
	switch {
	case !any:
		e.doubt("it has no LOSCFG_ symbols, so it is not a configuration of LiteOS; only those are explained")
		return
	}
	e.LiteOS = true
	switch {
	case e.on("LOSCFG_KERNEL_MEM_BESTFIT_LITTLE"):
		e.doubt("the heap is bestfit_little, which has none of the debugging features: choose LOSCFG_KERNEL_MEM_BESTFIT")
		return
	case !e.on("LOSCFG_KERNEL_MEM_BESTFIT"):
		e.doubt("LOSCFG_KERNEL_MEM_BESTFIT is not set: the heap is taken to be bestfit all the same, as in LiteOS before 5.0")
	}
	e.l = layout.LiteOS{
		Bits64:     e.on("LOSCFG_AARCH64") || e.on("LOSCFG_ARCH_ARM_AARCH64"),
		LeakCheck:  e.on("LOSCFG_MEM_LEAKCHECK"),
		HeadBackup: e.on("LOSCFG_MEM_HEAD_BACKUP"),
		RecordInfo: e.on("LOSCFG_MEM_RECORDINFO"),
		MulModule:  e.on("LOSCFG_MEM_MUL_MODULE"),
		TaskStat:   e.on("LOSCFG_MEM_TASK_STAT"),
		MulPool:    e.on("LOSCFG_MEM_MUL_POOL"),
	}
	if e.l.LeakCheck {
		e.l.LRs = e.number("LOS_RECORD_LR_CNT", 3, layout.MaxLRs)
	}
	e.tasks = e.number("LOSCFG_BASE_CORE_TSK_LIMIT", 64, layout.MaxTasks)
	if e.l.TaskStat {
		e.l.Tasks = e.tasks
	}
	e.Known = true
	e.Layout = e.l.String()
	e.HeadBytes = e.l.Offsets().Head
}

// with is the length of a node's head with the configuration changed.
func (e *explainer) with(change func(*layout.LiteOS)) int {
	l := e.l
	change(&l)
	return l.Offsets().Head
}

func (e *explainer) features() {
	lrs := max(e.l.LRs, 3)
	cost := func(on, off func(*layout.LiteOS)) int { return e.with(on) - e.with(off) }
	add := func(symbol, name, gives, other string, bytes int) {
		e.Features = append(e.Features, Feature{Symbol: symbol, Name: name, On: e.on(symbol), NodeBytes: bytes, Gives: gives, Cost: other})
	}
	add("LOSCFG_MEM_LEAKCHECK", "leak check", fmt.Sprintf("%d return addresses in each node: who allocated it, or freed it", lrs), "a stack walk in every allocation and free",
		cost(func(l *layout.LiteOS) { l.LeakCheck, l.LRs = true, lrs }, func(l *layout.LiteOS) { l.LeakCheck, l.LRs = false, 0 }))
	add("LOSCFG_MEM_HEAD_BACKUP", "header backup", "damaged headers are noticed when a node is touched, shown beside their backup, and restored; wild pointers are reported with a backtrace", "a checksum and a copy in every operation",
		cost(func(l *layout.LiteOS) { l.HeadBackup = true }, func(l *layout.LiteOS) { l.HeadBackup = false }))
	add("LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK", "integrity check", "every allocation walks the heap first; memcheck prints what it finds", "time that grows with the number of nodes, in every allocation", 0)
	add("LOSCFG_BASE_MEM_NODE_SIZE_CHECK", "size check", "LOS_MemNodeSizeCheck tells the room behind a pointer, and checked copies keep to it", "only where it is asked for", 0)
	add("LOSCFG_MEM_RECORDINFO", "event record", "the size asked for in each node, and a stream of all allocations and frees from memshowenable on", "the time of the console, which is most of it",
		cost(func(l *layout.LiteOS) { l.RecordInfo = true }, func(l *layout.LiteOS) { l.RecordInfo = false }))
	add("LOSCFG_MEM_MUL_MODULE", "module statistics", "the module beside the task in each node", "", 0)
	add("LOSCFG_MEM_TASK_STAT", "task statistics", "the bytes in use, and the waterline, in all and for each task", fmt.Sprintf("%d bytes in the pool's head", 8+8*(e.tasks+1)), 0)
	add("LOSCFG_MEM_MUL_POOL", "several pools", "pools are chained: memused and heapwright find all of them", "a pointer in the pool's head", 0)
}

func (e *explainer) commands() {
	shell := e.on("LOSCFG_SHELL")
	add := func(name string, works bool, shows, without string) {
		switch {
		case !shell:
			shows, works = "nothing: the firmware has no shell (LOSCFG_SHELL)", false
		case !works:
			shows = without
		}
		e.Commands = append(e.Commands, Command{name, works, shows})
	}
	lrs := fmt.Sprintf("the used nodes, each with %d return addresses; no sizes", e.l.LRs)
	add("memused", e.l.LeakCheck, lrs, "nothing: it needs LOSCFG_MEM_LEAKCHECK")
	add("memcheck", e.on("LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK"), "the first damaged node with what lies around it, or that all passed",
		"nothing, even if the heap is damaged: it needs LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK")
	add("free", true, "the bytes in use and free", "")
}

func (e *explainer) dump() {
	used, lost := "every used node with its size and task; who allocated it would need LOSCFG_MEM_LEAKCHECK", "nodes that no pointer leads to"
	if e.l.LeakCheck {
		used = fmt.Sprintf("every used node with its size, task and %d return addresses", e.l.LRs)
		lost += ", by call chain"
	}
	damaged := "damaged headers and how far the damage goes; restoring them would need LOSCFG_MEM_HEAD_BACKUP"
	if e.l.HeadBackup {
		damaged = "damaged headers and backups, which of the two is right, how far the damage goes, and the header restored"
	}
	e.Dump = []Command{{"memused", true, used}, {"memcheck", true, damaged}, {"leaks", true, lost}}
}

func (e *explainer) advice() {
	need := func(symbols ...string) (missing []string) {
		for _, s := range symbols {
			if !e.on(s) {
				missing = append(missing, s)
			}
		}
		return missing
	}
	debug := func(symbol string) []string {
		if !e.on("LOSCFG_KERNEL_MEM_BESTFIT") && !e.Known {
			return append([]string{"LOSCFG_KERNEL_MEM_BESTFIT"}, need("LOSCFG_DEBUG_VERSION", "LOSCFG_MEM_DEBUG", symbol)...)
		}
		return need("LOSCFG_DEBUG_VERSION", "LOSCFG_MEM_DEBUG", symbol)
	}
	add := func(fault, do string, set []string) { e.Advice = append(e.Advice, Advice{fault, do, set}) }
	add("memory becomes less and less", "type memused a few times while the device works, then: heapwright leaks console.log",
		append(debug("LOSCFG_MEM_LEAKCHECK"), need("LOSCFG_SHELL")...))
	add("the heap is overwritten, or the device crashes in malloc or free", "reproduce it, then: heapwright memcheck console.log",
		debug("LOSCFG_MEM_HEAD_BACKUP"))
	add("it is overwritten and nobody notices in time", "the check before every allocation comes closer to the moment, and is slow", debug("LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK"))
	add("the device is dead", "dump its RAM, all of it: heapwright memcheck ram.bin --base ADDRESS --config device.config --symbols firmware.elf; the features above make it say more", nil)
	add("a task takes too much", "heapwright memused and map show owners in a dump; the shell's task command shows the totals", need("LOSCFG_MEM_TASK_STAT"))
}
