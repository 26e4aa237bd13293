package console

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// mark notes the marks in a line. Each asks for the live set at that moment.
func (r *Reader) mark(line []byte) {
	for _, m := range r.Marks {
		if !slices.Contains(r.marks, m) && bytes.Contains(line, []byte(m)) {
			r.marks = append(r.marks, m)
			r.records.mark()
		}
	}
}

// aside takes in what a line says about the device besides its nodes.
func (r *Reader) aside(line []byte, texts uint64) {
	number := r.lines.line
	line = line[r.clock.see(line, number):]
	if texts&systemText != 0 {
		r.systems |= systemSet(systemTexts.find(line))
		r.unread.report(line, number)
	}
	if r.Names != nil {
		r.Names.line(line, number)
	}
	if r.reports.open == nil && isDump(line) {
		r.unread.dumps.see(number)
	}
	if !r.tasks.line(line) && texts&taskText != 0 {
		r.tasks.header(line)
	}
	r.told.line(line, number)
	if texts&infoText != 0 {
		r.told.info(line, number)
	}
	if texts&freeText != 0 {
		r.told.command(line, number)
	}
	if texts&echoText != 0 {
		// The prompt of a shell whose owner gave it another name.
		if i := bytes.LastIndex(line, []byte("# memused")); i > 0 && i < maxPrompt && skipSpace(line, i+len("# memused")) == len(line) {
			r.shell, r.echo = append(r.shell[:0], line[:i+2]...), number
		}
	}
}

// booting notes that the device printed some of its boot texts. One boot
// prints several; one of them twice is two boots.
func (r *Reader) booting(texts uint64) {
	if r.restart == 0 {
		r.restart = r.lines.line
	}
	if r.bootTexts != 0 && r.bootTexts&texts == 0 {
		r.bootTexts |= texts
		return
	}
	r.records.restart()
	if r.bootTexts != 0 || r.boot > 0 || r.stats.Snapshots > 0 || r.After+r.listed > 0 || r.stats.Findings > 0 {
		r.boot++
	}
	r.bootTexts = texts
	r.tasks.restart()
	r.told.restart()
}

// emit queues what an observer found.
func (r *Reader) emit(f *heap.Finding) {
	r.stats.Findings++
	r.bootTexts = 0
	r.ready = append(r.ready, Item{Finding: f})
}

// emitHere queues what was found to be wrong since the last boot.
func (r *Reader) emitHere(f *heap.Finding) {
	f.Boot = r.boot
	r.emit(f)
}

// record takes in a snapshot that was rebuilt from an event stream.
func (r *Reader) record(s *heap.Snapshot) {
	s.Source = fmt.Sprintf("%s:%d", r.name, r.lines.line)
	s.Boot, s.Marks, r.marks = r.boot, r.marks, nil
	r.systems |= systemOf(&liteos)
	r.bootTexts = 0
	r.deliver(s, r.clock.now)
}

// deliver completes a snapshot with what else the log says and queues it.
func (r *Reader) deliver(s *heap.Snapshot, at stamp) {
	s.Time = at.wall
	if s.TickHz == 0 && s.Tick == 0 {
		s.Tick, s.TickHz = at.tick, at.hz
	}
	if s.Owners == nil {
		// Where a listing does not say who owns what, 0 stands for nobody, not
		// for the task with that ID.
		owned := slices.ContainsFunc(s.Nodes, func(n heap.Node) bool { return n.Owner != 0 })
		s.Owners = r.tasks.owners(owned)
	}
	if s.Stats == (heap.Stats{}) {
		s.Stats = r.told.stats(s.Pool, s.Nodes)
	}
	r.stats.Snapshots++
	r.stats.Nodes += len(s.Nodes)
	r.ready = append(r.ready, Item{Snapshot: s})
}
