package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

const (
	// maxReportLines bounds the lines of one report; a longer one is cut.
	maxReportLines = 2000
	// maxForeign is how many lines of other output may stand in the middle of
	// a report that is not complete, maxAfter behind one that seems complete.
	maxForeign = 200
	maxAfter   = 8

	logEnds        = "the log ends"
	deviceRestarts = "the device restarts"
)

// liteosReports reads what LiteOS 5.0 prints when it finds its heap damaged or
// is given a pointer that it cannot free. It implements observer. There are
// five kinds of report, each read by a type of its own:
//
//   - backupReport: a header or its backup with a wrong checksum
//     (LOSCFG_MEM_HEAD_BACKUP), and the list of LOS_MemBadNodeShow
//   - wildReport: PROBABLY A WILD POINTER
//   - gapReport: the word in front of a pointer makes no sense
//   - checkReport: the integrity check of memcheck or an allocation
//   - poolReport: the pool's head, its free lists, single complaints
//
// A report is recognised line by line by what the lines say, so that prefixes
// of a logger and other output in between do not matter. It is over when
// another begins, when the prompt comes and nothing is missing, when the device
// restarts or the log ends, or when too much other output follows.
type liteosReports struct {
	name string // of the log
	emit func(*heap.Finding)
	boot *int // restarts so far; nil: not counted

	layout *liteosLayout // of the device's nodes, once a report showed it
	open   deviceReport
	lines  int // of the open report
	last   int // number of the last of them
	began  int // restarts before it
	others int // lines of other output since
	ended  bool

	walks     []walk // without a bad node, in order
	moreWalks int    // beyond maxWalks
}

// A deviceReport is a report that is being read.
type deviceReport interface {
	// line takes in a line and reports whether it belongs to the report.
	line(l *reportLine) bool
	// complete reports whether the report could end here.
	complete() bool
	// finish hands out what was found. cut says why the report ended before
	// it was complete; it is empty if that is not known to be so.
	finish(cut string)
}

func newLiteosReports(name string, emit func(*heap.Finding)) *liteosReports {
	return &liteosReports{name: name, emit: emit}
}

func (r *liteosReports) line(text []byte, number int) bool {
	say := reportTexts.find(text)
	if say == 0 && r.open == nil {
		return false
	}
	l := &reportLine{text, say, number}
	if r.open != nil && number-r.last > maxForeign {
		r.close("the log goes on with other output")
	}
	if r.open != nil && r.open.line(l) {
		r.count(l)
		return true
	}
	if next := r.begin(l); next != nil {
		r.close("another report begins")
		r.open, r.lines, r.others = next, 0, 0
		if r.boot != nil {
			r.began = *r.boot
		}
		next.line(l)
		r.count(l)
		return true
	}
	if r.open != nil {
		r.other(text)
	}
	return false
}

// count notes a line that belongs to the open report.
func (r *liteosReports) count(l *reportLine) {
	r.last, r.others = l.number, 0
	if r.lines++; r.lines >= maxReportLines {
		r.close(fmt.Sprintf("only the first %d lines were read", maxReportLines))
	}
}

// other looks at a line that does not belong to the open report.
func (r *liteosReports) other(text []byte) {
	_, stops := r.open.(*checkReport) // the device: no prompt comes after it
	switch {
	case liteosBooting(text):
		r.close(deviceRestarts)
		r.layout = nil
	case skipSpace(text, 0) == len(text):
	case liteosPrompt(text) && !stops && r.open.complete():
		r.close("")
	default:
		r.others++
		if r.others > maxForeign || r.others > maxAfter && r.open.complete() {
			r.close("the log goes on with other output")
		}
	}
}

func (r *liteosReports) end() {
	r.ended = true
	r.close(logEnds)
}

// close finishes the open report.
func (r *liteosReports) close(why string) {
	if r.open == nil {
		return
	}
	if r.open.complete() {
		why = ""
	}
	open := r.open
	r.open = nil
	open.finish(why)
}

// begin returns the report that a line begins, and nil if it begins none.
func (r *liteosReports) begin(l *reportLine) deviceReport {
	switch {
	case l.says(sayBadNode | sayBadBackup | sayEndBad | sayEndBackupBad | sayNextBroken | sayBackup | sayPrevious | sayAddress | sayNoPrevious):
		b := &backupReport{r: r}
		if g, ok := r.open.(*gapReport); ok && g.illegal {
			b.gap, r.open = g, nil // the same free
		}
		return b
	case l.says(sayHeader):
		if _, ok := controlHeader(l.text); ok {
			return &backupReport{r: r}
		}
	case l.says(sayControl | sayShould | sayGiven | sayWild):
		w := &wildReport{r: r, first: l.number}
		if g, ok := r.open.(*gapReport); ok && g.illegal {
			w.gap, r.open = g, nil
		}
		return w
	case l.says(sayGap | sayBadGap):
		return &gapReport{r: r, first: l.number}
	case l.says(sayCheck | sayRange | sayMagic | sayWords | sayPreTask):
		return &checkReport{r: r, first: l.number}
	case l.says(sayFreeList | sayPoolAddr | sayListNode | sayOutside | sayInFree):
		return &poolReport{r: r, first: l.number}
	}
	return nil
}

// finding returns a finding about which only where it was read is known.
func (r *liteosReports) finding(kind heap.Kind, line int) *heap.Finding {
	return &heap.Finding{Kind: kind, Boot: r.began, Source: fmt.Sprintf("%s:%d", r.name, line), Stack: heap.Stack{}}
}

// learn keeps a layout that a report showed.
func (r *liteosReports) learn(l *liteosLayout) {
	if l != nil {
		r.layout = l
	}
}

// cutText is what a finding's Partial says about a report that ended too early.
func cutText(why string) string {
	if why == "" {
		return ""
	}
	return "the report is cut: " + why
}

// missingText is what a finding's Partial says about parts that did not come.
func missingText(parts ...string) string {
	s := ""
	for _, p := range parts {
		if p == "" {
			continue
		}
		if s != "" {
			s += " and "
		}
		s += p
	}
	if s == "" {
		return ""
	}
	return "not in the log: " + s
}

func liteosPrompt(text []byte) bool { return bytes.Contains(text, []byte("OS # ")) }

func liteosBooting(text []byte) bool {
	for _, s := range []string{"Hello Huawei LiteOS", "LiteOS Kernel Version", "main core booting up"} {
		if bytes.Contains(text, []byte(s)) {
			return true
		}
	}
	return false
}

// left says that so many things were not kept.
func left(n int, what string) string {
	if n == 0 {
		return ""
	}
	return plain.Plural(n, what) + " left out"
}
