package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

const (
	// maxAfterEnd is how many lines of other output may follow the blank line
	// behind a listing before it counts as over although no prompt came.
	maxAfterEnd = 200
	// poolReach is how many lines an announced pool may be ahead of its header.
	poolReach = 5
	// titleReach is the same for a line that a dialect needs to understand the
	// header.
	titleReach = 10
	// maxPools bounds the pools of one command that are told apart.
	maxPools = 64
	// maxRestarts bounds the restarts that are named in Notes.
	maxRestarts = 5

	// maxPrompt bounds the prompts of a shell that are learnt, in bytes.
	maxPrompt = 64

	promptInRow = "the prompt came in the middle of a row"
)

// A Reader reads one log: the listings in it, and what the device reports
// itself about a damaged heap. It implements heap.Source.
//
// A listing is complete when the shell shows that the command returned: a
// blank line or the prompt after its last row. It counts as cut, and its
// snapshot is partial, when instead the log ends, the device restarts or
// another listing begins, and when the prompt stands in the middle of a row.
//
// Snapshot.Time and Tick come from the device, or from the time stamp in front
// of the listing's header. Understood at the beginning of a line are, alone or
// in this order,
//
//	[2026-11-22 10:00:00.123]  2026-11-22T10:00:00Z  2026/11/22 10:00:00,123+01:00   wall clock
//	Nov 22 10:00:00                                                                   without a year
//	[10:00:00.123]  10:00:00.123 ->  10:00:00                                         without a date
//	1763805600.123456                                                                 seconds since 1970
//	[   12.345678]  <6>[   12.345]                                                    seconds since boot
//	I (12345) tag:                                                                    ESP-IDF: ms since boot
//
// and of the last also the one in the line in front of the header. Others, such
// as a clock of twelve hours, are passed over.
//
// A Reader must not be used from several goroutines at a time.
type Reader struct {
	// Marks are texts to look for in the lines that are no rows of a listing:
	// a snapshot's Marks are those found since the header of the one before
	// and in front of its own. To be set before reading, a few.
	Marks []string
	// After is how many listings the logs hold that this one continues: its
	// own are numbered from there on, and a boot in front of its first listing
	// is a restart, too. To be set before reading.
	After int

	// EveryTicks is how many ticks of the device shall be between the
	// snapshots that are rebuilt from an event stream, each the live set at
	// the end of a tick; 0: as many events as there are live nodes, at least
	// 256. There is one more at the end of each recording, and in front of
	// each mark. To be set before reading.
	EveryTicks uint64
	// Names takes in the functions that the log itself gives for addresses;
	// nil: they are passed over. To be set before reading.
	Names *Names

	name    string
	lines   lineReader
	head    []byte // first bytes of the log, to say what it is if no listing is found
	scratch []byte
	stacks  stackTable

	open      *listing
	reports   *liteosReports
	observers []observer  // besides
	ready     []Item      // finished, not yet handed out
	listed    int         // listings begun, those of further pools not counted
	rows      []heap.Node // of the listing before: an array for the next
	marks     []string    // found for the next listing
	listMarks []string    // of the current listing, for its further pools

	// What the log says about the device besides.
	clock   clock
	tasks   taskTable
	told    poolTable
	noise   noise
	records records
	shell   []byte // the prompt in front of the command memused seen last
	echo    int    // the line of that command
	systems systemSet
	unread  unread

	pool     string // announced for the next listing
	poolLine int
	pools    []string // that dialects named in the headers of the last command
	// titles are the last lines, each with its end, with a key of dialect i
	// that were no header.
	titles   []title
	heaps    heapRun
	restart  int // line of a restart since the last listing; 0: none
	restarts int // between listings
	boot     int // restarts so far
	// bootTexts are those of the device's boot texts that were seen since
	// the boot began; 0: it is over.
	bootTexts uint64
	// restarted names the first listings behind a restart.
	restarted []string
	strays    int // rows outside every listing
	strayAt   int // line of the first of them
	stats     Stats
	done      bool
	err       error           // to be yielded last
	none      *NoListingError // for Snapshots: there were none
}

type title struct {
	text []byte
	line int
}

// Stats counts what a Reader has seen so far.
type Stats struct {
	Bytes     int64 // of the log
	Lines     int
	Snapshots int
	Findings  int
	Nodes     int // in all snapshots
	Between   int // lines of other output in the middle of listings
	Short     int // rows left out since they lack stack levels
	Strays    int // rows outside every listing
	Restarts  int // of the device between listings
	Boots     int // restarts in all: a snapshot's Boot from here on
	LongLines int // lines of which only the first 4 KiB were looked at
}

// NewReader returns a Reader of the log r. The name stands in
// Snapshot.Source, in errors and in notes; it is usually the file's.
func NewReader(r io.Reader, name string) *Reader {
	reader := &Reader{name: name, lines: newLineReader(r), titles: make([]title, len(dialects))}
	reader.reports = newLiteosReports(name, reader.emit)
	reader.reports.boot = &reader.boot
	reader.records = records{
		name: name, emit: reader.emitHere, deliver: reader.record, task: reader.tasks.name,
		reboot: func() { reader.boot++ },
	}
	reader.records.searchBudget, reader.records.askBudget = searchBudget, askBudget
	reader.observers = []observer{
		&espidfReports{name: name, emit: reader.emit, boot: &reader.boot},
		&rtthreadReports{name: name, emit: reader.emit, boot: &reader.boot},
	}
	return reader
}

// step reads one line.
func (r *Reader) step() {
	if r.open != nil && r.open.ended {
		// A prompt has no line end: on a live console, do not wait for one.
		if p := r.lines.partial(); p != nil && r.open.prompted(r.clean(p)) {
			r.close("")
			return
		}
	}
	line, terminated, err := r.lines.next()
	if err == nil {
		r.line(line, terminated)
	} else {
		r.end(err)
	}
	if r.lines.line == 1 {
		if kind := fileKind(r.head); kind == FileELF || kind == FileGzip {
			r.end(io.EOF)
		}
	}
}

// Stats returns what has been counted so far.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Bytes, s.Lines, s.LongLines, s.Strays, s.Restarts = r.lines.bytes, r.lines.line, r.lines.long, r.strays, r.restarts
	s.Boots = r.boot
	return s
}

// Notes returns what a person should know about the log beyond what the
// snapshots' Partial says: restarts between listings, rows outside every
// listing. Each note is one line that begins with
// the log's name. They are complete when Snapshots has ended.
func (r *Reader) Notes() []string {
	var notes []string
	if r.restarts > 0 {
		s := strings.Join(r.restarted, ", ")
		if n := r.restarts - len(r.restarted); n > 0 {
			s += fmt.Sprintf(" and %d more", n)
		}
		notes = append(notes, fmt.Sprintf("%s: the device restarted before listing %s: counts before and after a restart cannot be compared", r.name, s))
	}
	if r.strays > 0 && r.listed > 0 {
		notes = append(notes, fmt.Sprintf("%s:%d: %s outside every listing ignored: the start of a listing is missing", r.name, r.strayAt, plain.Plural(r.strays, "row")))
	}
	notes = append(notes, r.records.notes()...)
	if !r.noise.most() || r.stats.Snapshots+r.stats.Findings > 0 { // else it is an error
		notes = append(notes, r.noise.notes(r.name)...)
	}
	notes = append(notes, r.tasks.notes(r.name)...)
	notes = append(notes, r.told.notes(r.name)...)
	if r.lines.long > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s longer than %d bytes; only the beginning was looked at", r.name, plain.Plural(r.lines.long, "line"), maxLine))
	}
	return notes
}

func (r *Reader) clean(line []byte) []byte {
	line, r.scratch = stripEscapes(line, r.scratch)
	return line
}

// line takes in the next line of the log.
func (r *Reader) line(line []byte, terminated bool) {
	if len(r.head) < 1024 {
		r.head = append(r.head, line...)
		r.head = append(r.head, '\n')
	}
	line = r.clean(line)
	r.noise.bytes += int64(len(line))
	if r.open != nil && r.row(r.open, line, terminated) {
		return
	}
	r.noise.see(line)
	texts := lineTexts.find(line)
	if boot := texts & bootBits; boot != 0 {
		r.booting(boot)
	}
	r.aside(line, texts)
	r.mark(line)
	mine := false
	if texts&recordText != 0 || len(r.records.carry) > 0 {
		r.records.every = r.EveryTicks
		mine = r.records.line(line, r.lines.line)
		if mine && texts == recordText && r.open == nil && r.reports.open == nil && nextPiece(line, false) == 0 && len(line) <= maxPiece {
			return // a piece and nothing else
		}
	}
	if texts&switchText != 0 {
		r.records.command(line)
	}
	if texts&reportText != 0 || r.reports.open != nil {
		mine = r.reports.line(line, r.lines.line) || mine
	}
	for _, o := range r.observers {
		mine = o.line(line, r.lines.line) || mine
	}
	if texts&dialectBits != 0 && r.header(line, texts) {
		return
	}
	if r.open == nil || !r.inside(r.open, line, texts, mine) {
		r.outside(line, texts)
	}
}

// row shows a line to the dialect of the open listing. It reports whether the
// line belongs to the listing.
func (r *Reader) row(l *listing, line []byte, terminated bool) bool {
	l.unfinished = !terminated
	before := l.count()
	switch {
	case l.ended && l.prompted(line):
		r.close("")
		return false
	case l.d.row(line, l):
		for _, f := range l.found {
			f.Source, f.Boot = fmt.Sprintf("%s:%d", r.name, r.lines.line), r.boot
			r.emit(f)
		}
		l.found = nil
		if l.missing > 0 && l.prompted(line) {
			r.close(midRow(l, promptInRow))
		} else if !terminated && (l.levels == 0 || !padded(l.width)) && l.count() > before {
			// The last number may have lost digits, and nothing shows it.
			l.missing = max(l.missing, 1)
		}
	case l.missing > 0 && l.d.resume != nil && l.d.resume(line, l):
	case l.d.follow != nil && l.d.follow(line, l):
		l.continued()
	case l.d.end != nil && l.d.end(line, l):
		l.continued()
		r.close("")
	default:
		return false
	}
	return true
}

// inside looks at a line in the middle of the listing l that is no row. It
// reports whether nobody else needs to look at it.
func (r *Reader) inside(l *listing, line []byte, texts uint64, mine bool) bool {
	if texts != 0 && l.d.pool != nil {
		if _, ok := l.d.pool(line); ok {
			r.close(midRow(l, "the next pool was announced in the middle of a row"))
			return false
		}
	}
	switch {
	case l.prompted(line):
		r.close(midRow(l, promptInRow))
	case texts&bootBits != 0:
		cut := "the device restarted"
		if l.ended && l.since > 0 {
			cut = ""
		}
		r.close(cut)
		return false
	case !mine && skipSpace(line, 0) == len(line):
		l.ended = l.ended || l.d.end == nil
	case !mine && !l.ended && l.d.fragment != nil && l.d.fragment(line):
		if l.missing == 0 || bytes.IndexByte(line, ':') >= 0 {
			l.unreadable++ // else it is the rest of the row before
		}
	default:
		l.since++
		if l.ended && l.since > maxAfterEnd {
			r.close("")
		}
	}
	return true
}

func midRow(l *listing, reason string) string {
	if l.missing > 0 && l.since == 0 {
		return reason
	}
	return ""
}

// header opens a listing if the line is a header.
func (r *Reader) header(line []byte, texts uint64) bool {
	for i, d := range dialects {
		if texts&(1<<i) == 0 {
			continue
		}
		l := &listing{d: d, stacks: &r.stacks}
		t := &r.titles[i]
		if r.lines.line-t.line > titleReach || len(t.text)+len(line) > maxLine {
			t.text = t.text[:0]
		}
		l.title = t.text
		if !d.header(line, l) {
			t.text, t.line = append(append(t.text, line...), '\n'), r.lines.line
			continue
		}
		l.title, t.text = nil, t.text[:0]
		if r.open != nil {
			cut := ""
			if !r.open.ended {
				cut = "another listing begins before the blank line or prompt that ends one"
			}
			r.close(cut)
		}
		r.begin(l)
		return true
	}
	return false
}

// begin opens the listing l, whose header was just read.
func (r *Reader) begin(l *listing) {
	switch {
	case r.pool != "" && r.lines.line-r.poolLine <= poolReach && r.listed > 0:
		l.pool = r.pool
	case l.pool != "" && len(r.pools) > 0 && len(r.pools) < maxPools && !slices.Contains(r.pools, l.pool):
		// A command that names every pool goes through them once.
		r.pools = append(r.pools, l.pool)
	default:
		r.listed++
		r.listMarks, r.marks = r.marks, nil
		r.pools = r.pools[:0]
		if l.pool != "" {
			r.pools = append(r.pools, l.pool)
		}
	}
	r.pool = ""
	if r.restart > 0 && r.After+r.listed > 1 {
		if r.restarts++; len(r.restarted) < maxRestarts {
			r.restarted = append(r.restarted, fmt.Sprintf("%d (line %d)", r.After+r.listed, r.restart))
		}
	}
	r.restart, r.bootTexts = 0, 0
	l.number, l.line, l.boot, l.marks = r.After+r.listed, r.lines.line, r.boot, r.listMarks
	l.rows, r.rows = r.rows[:0], nil
	l.stamp = r.clock.inFront()
	r.systems |= systemOf(l.d)
	if r.echo > 0 && r.lines.line-r.echo <= poolReach {
		l.shell = bytes.Clone(r.shell)
	}
	r.open = l
}

// outside looks at a line that belongs to no listing.
func (r *Reader) outside(line []byte, texts uint64) {
	for i, d := range dialects {
		if texts&(1<<i) != 0 && d.pool != nil {
			if pool, ok := d.pool(line); ok {
				r.pool, r.poolLine = pool, r.lines.line
			}
		}
	}
	for _, d := range dialects {
		if d.stray != nil && d.stray(line) {
			if r.strays++; r.strays == 1 {
				r.strayAt = r.lines.line
			}
			return
		}
	}
}

// close finishes the open listing.
func (r *Reader) close(cut string) {
	l := r.open
	r.open = nil
	source := fmt.Sprintf("%s:%d", r.name, l.line)
	r.sameCommand(l)
	s := l.finish(source, cut)
	r.rows = l.rows
	r.stats.Between += l.between
	r.stats.Short += l.short
	r.deliver(s, l.stamp)
}

// end finishes what is open when the log is over, or cannot be read further.
func (r *Reader) end(err error) {
	r.done = true
	failed := !errors.Is(err, io.EOF)
	switch l := r.open; {
	case l == nil:
	case failed:
		r.close("the log could not be read further")
	case l.ended:
		r.close("")
	default:
		r.close("the log ends before the blank line or prompt that ends a listing")
	}
	r.records.end()
	r.reports.end()
	for _, o := range r.observers {
		o.end()
	}
	switch {
	case failed:
		r.err = fmt.Errorf("%s:%d: %w", r.name, r.lines.line, err)
	case r.stats.Snapshots == 0:
		r.none = &NoListingError{Name: r.name, Lines: r.lines.line, Kind: r.kind(), Noise: r.noise.percent(), Strays: r.strays, Findings: r.stats.Findings}
	}
}
