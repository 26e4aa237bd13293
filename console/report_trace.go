package console

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// maxTrace bounds the levels kept of a backtrace; LiteOS prints 15 by default.
const maxTrace = 64

// A reportTrace collects what a report says about where the device was: the
// running task, pc and lr of an exception (its other registers are recognised
// as part of the report and not kept), the backtrace.
//
//	runTask->taskName = SerialShellTask          <- OsBackTrace
//	runTask->taskId = 0
//	*******backtrace begin*******
//	traceback 0 -- lr = 0x13c9c    fp = 0xa968c
//	...
//	cpu0 is in exc.                              <- a panic
//	excType:software interrupt
//	taskName = IdleCore000
//	excBuffAddr pc = 0x13bd4
//	R0         = 0x4b904
//	*******backtrace begin*******
type reportTrace struct {
	task    string
	excType string
	exc     bool // an exception is being printed
	pc, lr  heap.Addr
	begun   bool
	lrs     []heap.Addr
	fps     []heap.Addr
	next    int // level expected next
	lost    int // levels missing in between
	more    int // levels beyond maxTrace
	others  int // further backtraces, of other cores
}

// line reads a line of the kind described above and reports whether it is one.
func (t *reportTrace) line(l *reportLine) bool {
	switch {
	case l.says(sayTrace) && t.level(l):
	case l.says(sayTraceBegin):
		if t.begun && len(t.lrs) > 0 {
			t.others++
		}
		t.begun = true
	case l.says(sayTaskName):
		if t.task == "" {
			t.task = l.name("taskName = ", "")
		}
	case l.says(sayCPU | sayExc):
		t.exc = true
		t.register(l)
	case bytes.Contains(l.text, []byte("runTask->")):
	case t.exc && dumpLine(l.text):
	default:
		return false
	}
	return true
}

// level reads one level of the backtrace.
func (t *reportTrace) level(l *reportLine) bool {
	_, after, _ := bytes.Cut(l.text, []byte("traceback "))
	digits := 0
	for digits < len(after) && digits < 4 && after[digits] >= '0' && after[digits] <= '9' {
		digits++
	}
	level, err := strconv.Atoi(string(after[:digits]))
	if err != nil {
		return bytes.HasPrefix(after, []byte("fp fixed")) || bytes.HasPrefix(after, []byte("error"))
	}
	fp, _, hasFP := hexAfter(after, "fp = ")
	lr, _, ok := hexAfter(after, "lr = ")
	if !ok {
		lr, _, ok = hexAfter(after, "ra = ") // RISC-V
	}
	switch {
	case t.others > 0 || level < t.next-1 || level == t.next-1 && ok:
		t.more++ // another core's
	case level == t.next-1 && hasFP && len(t.fps) > 0: // older releases print two lines a level
		t.fps[len(t.fps)-1] = fp
	case !ok:
	case len(t.lrs) == maxTrace:
		t.more++
		t.next = level + 1
	default:
		t.lost += level - t.next
		t.next = level + 1
		t.lrs = append(t.lrs, lr)
		t.fps = append(t.fps, fp)
	}
	return true
}

// register reads what kind of exception it was, and where.
func (t *reportTrace) register(l *reportLine) {
	const key = "xcBuffAddr "
	if _, after, ok := bytes.Cut(l.text, []byte(key)); ok {
		if v, _, ok := hexAfter(after, "pc = "); ok && t.pc == 0 {
			t.pc = v
		}
		if v, _, ok := hexAfter(after, "lr = "); ok && t.lr == 0 {
			t.lr = v
		}
		return
	}
	if t.excType == "" {
		t.excType = l.name("xcType:", "")
	}
}

// dumpLine reports whether the line is one of those an exception dump consists
// of: "R0         = 0x4b904", "cpu1 is running.", "taskId = 2".
func dumpLine(b []byte) bool {
	for _, key := range []string{"is running.", "taskId = ", "task stackSize = ", "system mem addr = "} {
		if bytes.Contains(b, []byte(key)) {
			return true
		}
	}
	name, value, ok := bytes.Cut(b, []byte("= 0x"))
	name = bytes.TrimRight(name, " ")
	if i := bytes.LastIndexByte(name, ' '); i >= 0 {
		name = name[i+1:]
	}
	return ok && len(value) > 0 && len(name) > 0 && len(name) <= 8 && name[0] >= 'A' && name[0] <= 'Z'
}

// rising reports whether each frame lies above the one that it called, as far
// as the frame pointers are known. The outermost of a task can be anything.
func (t *reportTrace) rising() bool {
	last := heap.Addr(0)
	for i, fp := range t.fps {
		if fp != 0 && fp <= last && i < len(t.fps)-1 {
			return false
		}
		last = max(last, fp)
	}
	return true
}

// put stores what was collected in the finding.
func (t *reportTrace) put(f *heap.Finding) {
	if f.Task == "" {
		f.Task = t.task
	}
	if t.excType != "" {
		f.Detail = sentences(f.Detail, "the device stopped with an exception: "+t.excType)
	}
	var lrs, fps []heap.Addr
	if t.pc != 0 {
		lrs, fps = append(lrs, t.pc), append(fps, 0)
		if t.lr != 0 && (len(t.lrs) == 0 || t.lr != t.lrs[0]) {
			lrs, fps = append(lrs, t.lr), append(fps, 0)
		}
	}
	f.Stack = append(append(heap.Stack{}, lrs...), t.lrs...)
	for _, fp := range t.fps {
		if fp != 0 {
			f.Frames = append(fps, t.fps...)
			break
		}
	}
	if t.lost > 0 {
		f.Partial = sentences(f.Partial, plain.Plural(t.lost, "level")+" of the backtrace missing")
	}
	if t.more > 0 {
		f.Partial = sentences(f.Partial, fmt.Sprintf("%s of backtraces beyond the first, or beyond %d levels, left out", plain.Plural(t.more, "line"), maxTrace))
	}
}
