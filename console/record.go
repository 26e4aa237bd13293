package console

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// The event stream of LiteOS with LOSCFG_MEM_RECORDINFO: every allocation and
// every free, between the shell commands memshowenable and memshowdisable or
// from boot on. Source: OsMemRecordShow of los_memrecord.c and
// los_binarytree.c. Numbers of a fixed width are base 64, most significant
// digit first, in the alphabet 0-9 a-z A-Z ~ !; since that holds delimiters,
// only the widths tell where a piece ends. A piece per line:
//
//	~^iiiADDRESS^~               address number iii, in hexadecimal (%x)
//	*^iiSIZE^*                   size number ii, in decimal
//	$^iiLLL^$                    call stack number ii: three LRs in hexadecimal
//	                             with nothing between them, see chainTable
//	~!ssaaazzccccttkkkkkkll!~    an event:
//	   ss slot in the device's buffer of 4000, aaa address, zz size,
//	   cccc action (0 free, 1 invalid free, 2 allocation), tt task,
//	   kkkkkk tick, ll call stack
//	Rec:error:the printf speed is low,Rnd     the buffer overflowed
//
// Entries are numbered from 0 in the order in which they are printed, each
// once a boot, so gaps show what the log lacks, and address number 0 shows that
// the device has booted. A number of nothing but ! belongs
// to a table that was full. An entry can come after an event that needs it.
// Newer versions print with each event the action of the one before, see
// actionOrder.
//
// The stream gives the pointers that callers hold, so these name the nodes.
// The device prints it with delay, up to a minute after the events.

const (
	recordSlots = 4000 // of the device's buffer
	// recordTick is the number of ticks after which the device's clock, as
	// printed, begins again.
	recordTick = 1 << 32
	// snapshotEvents is the least number of events between two snapshots.
	snapshotEvents = 256
	// searchBudget bounds the work of explaining invalid frees in one log.
	searchBudget = 64 << 20

	freeAction    = 0
	invalidAction = 1
	allocAction   = 2

	noAddr = ^uint64(0)
)

// A recordEvent is an event with numbers instead of what they stand for.
type recordEvent struct {
	slot   int
	addr   uint32
	size   uint16
	lr     uint16
	task   heap.Owner
	action uint8
	gap    bool // events are missing in front of it
	tick   uint64
	line   int
}

// A recordNode is a live node.
type recordNode struct {
	addr   uint32 // number
	size   uint16
	lr     uint16
	task   heap.Owner
	epoch  int // of the recording
	tick   uint64
	serial uint64
}

// A recordSlot is what is known about the address with its number.
type recordSlot struct {
	live  int32 // position in records.live, from 1
	freed bool  // after an allocation
	lr    uint16
}

// records rebuilds the live set from an event stream.
type records struct {
	name    string
	emit    func(*heap.Finding)
	deliver func(*heap.Snapshot)
	owners  func() map[heap.Owner]string
	reboot  func() // the device has restarted without saying so

	every uint64 // ticks between snapshots; 0: by events
	carry []byte // of a piece that goes on in the next line
	stale int    // lines since
	count int    // snapshots delivered

	recordState
	total recordTotals
}

// recordState is what ends when the device restarts.
type recordState struct {
	addrs  []uint64 // by number; noAddr: not seen
	sizes  []int64  // by number; -1: not seen
	chains chainTable
	next   [3]int // number expected next in each table

	order actionOrder
	held  recordEvent // waits for its action, if holds
	holds bool

	slots  []recordSlot
	live   []recordNode
	begun  bool
	off    bool // between memshowdisable and memshowenable
	epoch  int  // recordings before this one
	slot   int  // expected next
	tick   uint64
	last   uint64 // tick of the event applied last
	at     uint64 // tick that snapshots are counted from
	since  int    // events since the last snapshot
	serial uint64

	cut      bool
	lost     int // events
	overruns int
	nameless int // events without an address: the device's table was full
}

// recordTotals is what Notes says about all recordings of a log.
type recordTotals struct {
	events   int
	lost     int
	overruns int
	missing  [3]int // table entries
	unknown  int    // frees of what was allocated before the recording
	twice    int    // frees or allocations that contradict the live set
	failed   int    // allocations
	guessed  int    // actions that had to be guessed
	chains   int    // call stacks that could not be split
	sizeless int    // nodes whose size the log lacks, in one snapshot at most
	rootless int    // the same for call stacks
	back     int    // times that the clock went back
	midway   int    // recordings whose beginning the log lacks
	searched int    // nodes looked at to explain invalid frees
}

// line reads the pieces in a line. It reports whether there were any.
func (r *records) line(line []byte, number int) bool {
	mine := false
	if len(r.carry) > 0 {
		joined := append(r.carry, line...)
		p, n, state := readPiece(joined)
		switch state {
		case pieceRead:
			line = line[n-len(r.carry):]
			r.carry = r.carry[:0]
			r.piece(p, number)
			mine = true
		case pieceShort:
			r.carry = append(r.carry[:0], joined...)
			return true
		default:
			if r.stale++; r.stale > 3 {
				r.carry = r.carry[:0]
			}
		}
	}
	for {
		i := nextPiece(line, mine)
		if i < 0 {
			break
		}
		line = line[i:]
		p, n, state := readPiece(line)
		switch state {
		case pieceRead:
			r.piece(p, number)
			mine = true
			line = line[n:]
			continue
		case pieceShort:
			r.carry, r.stale = append(r.carry[:0], bytes.TrimRight(line, " \t\r\x00")...), 0
			return true
		}
		line = line[1:]
	}
	if r.begun && bytes.Contains(line, []byte("Rec:error")) {
		r.overruns++
		r.total.overruns++
		mine = true
	}
	return mine
}

// command notes the commands that switch recording on and off.
func (r *records) command(line []byte) {
	switch {
	case bytes.Contains(line, []byte("memshowdisable")):
		r.finish()
		r.off = true
	case r.off && bytes.Contains(line, []byte("memshowenable")):
		r.off = false
		r.epoch++
	}
}

// mark delivers the live set at a moment somebody asked for.
func (r *records) mark() {
	if r.since > 0 {
		r.snapshot()
	}
}

// end ends the recordings of a log.
func (r *records) end() {
	r.chains.again()
	r.cut = r.begun && len(r.carry) > len("~!") && r.stale == 0
	r.finish()
}

// finish ends a recording.
func (r *records) finish() {
	for _, e := range r.order.settle() {
		r.settled(e)
	}
	if r.holds {
		// Nothing will say what the last event was; that is no loss.
		r.release(-1)
		r.total.guessed--
	}
	if r.since > 0 || r.cut {
		r.snapshot()
	}
}

// restart forgets what ends with a boot.
func (r *records) restart() {
	r.finish()
	r.total.chains += r.chains.doubtful()
	r.recordState = recordState{order: r.order.next()}
	r.carry = r.carry[:0]
}

// piece takes in what one piece says.
func (r *records) piece(p piece, number int) {
	switch p.kind {
	case addrPiece:
		if p.id == 0 && (r.begun || r.next[0] > 0) {
			r.restart()
			r.reboot()
		}
		r.number(0, p.id, r.addr(uint32(p.id)) == noAddr)
		for len(r.addrs) <= p.id {
			r.addrs = append(r.addrs, noAddr)
		}
		r.addrs[p.id] = p.value
	case sizePiece:
		r.number(1, p.id, r.size(uint16(p.id)) < 0)
		for len(r.sizes) <= p.id {
			r.sizes = append(r.sizes, -1)
		}
		r.sizes[p.id] = int64(p.value)
	case chainPiece:
		r.number(2, p.id, !r.chains.has(p.id))
		r.chains.put(p.id, p.text)
	case eventPiece:
		p.event.line = number
		r.event(p.event)
	}
}

// number counts the entries of a table that are missing. A new entry can have
// a low number: lost digits made that of another too high.
func (r *records) number(table, id int, isNew bool) {
	switch {
	case id >= r.next[table]:
		r.total.missing[table] += id - r.next[table]
		r.next[table] = id + 1
	case isNew:
		r.total.missing[table]--
	}
}

// event takes in an event as it was printed.
func (r *records) event(e recordEvent) {
	e.tick += r.tick &^ (recordTick - 1)
	if !r.begun && r.addr(0) == noAddr {
		r.slot = e.slot // the log begins in the middle of it
		r.total.midway++
	}
	missing := (e.slot - r.slot%recordSlots + recordSlots) % recordSlots
	if missing > 0 {
		e.gap = true
		r.lost += missing
		r.total.lost += missing
	}
	if r.begun {
		if e.tick < r.tick {
			if r.tick-e.tick > recordTick/2 {
				e.tick += recordTick
			} else {
				r.total.back++
			}
		}
	}
	r.begun = true
	r.slot = e.slot + 1
	r.tick = e.tick
	r.total.events++
	if r.order.decided {
		r.settled(e)
		return
	}
	r.order.weigh(e, r.sizes)
	if r.order.decided {
		for _, e := range r.order.settle() {
			r.settled(e)
		}
	}
}

// settled takes in an event when it is known which action belongs to which.
func (r *records) settled(e recordEvent) {
	if !r.order.shifted {
		r.apply(e)
		return
	}
	action := int(e.action)
	if e.gap {
		action = -1
	}
	r.release(action)
	r.held, r.holds = e, true
}

// release applies the event that was waiting for its action; -1: it is lost.
func (r *records) release(action int) {
	if !r.holds {
		return
	}
	r.holds = false
	e := r.held
	if action >= 0 {
		e.action = uint8(action)
		r.apply(e)
		return
	}
	// The device frees what is live and allocates what is not.
	r.total.guessed++
	switch {
	case r.size(e.size) == 0:
		e.action = invalidAction
	case int(e.addr) < len(r.slots) && r.slots[e.addr].live > 0:
		e.action = freeAction
	default:
		e.action = allocAction
	}
	r.apply(e)
}

// apply changes the live set.
func (r *records) apply(e recordEvent) {
	if r.every > 0 && r.since > 0 && e.tick >= r.at+r.every {
		r.snapshot()
	}
	r.serial++
	r.since++
	if r.since == 1 {
		r.at = e.tick
	}
	r.last = e.tick
	if e.addr == 1<<18-1 && (len(r.addrs) <= int(e.addr) || r.addrs[e.addr] == noAddr) {
		r.nameless++
		return
	}
	for len(r.slots) <= int(e.addr) {
		r.slots = append(r.slots, recordSlot{})
	}
	slot := &r.slots[e.addr]
	switch e.action {
	case allocAction:
		if r.addr(e.addr) == 0 {
			r.total.failed++
			break
		}
		if slot.live > 0 {
			r.total.twice++ // resized in place, or its free is missing
			r.remove(slot)
		}
		r.live = append(r.live, recordNode{e.addr, e.size, e.lr, e.task, r.epoch, e.tick, r.serial})
		slot.live, slot.freed = int32(len(r.live)), false
	case freeAction:
		switch {
		case slot.live > 0:
			r.remove(slot)
			slot.freed, slot.lr = true, e.lr
		case slot.freed:
			r.total.twice++
		default:
			r.total.unknown++
		}
	case invalidAction:
		r.invalid(e, slot)
	}
	if r.every == 0 && r.since >= max(snapshotEvents, len(r.live)) {
		r.snapshot()
	}
}

// remove takes a node out of the live set.
func (r *records) remove(slot *recordSlot) {
	last := len(r.live) - 1
	moved := r.live[last]
	r.live[slot.live-1] = moved
	r.slots[moved.addr].live = slot.live
	r.live = r.live[:last]
	slot.live = 0
}

func (r *records) addr(number uint32) uint64 {
	if int(number) < len(r.addrs) {
		return r.addrs[number]
	}
	return noAddr
}

func (r *records) size(number uint16) int64 {
	if int(number) < len(r.sizes) {
		return r.sizes[number]
	}
	return -1
}

// node returns a live node in the words of package heap.
func (r *records) node(n recordNode) heap.Node {
	addr := heap.Addr(r.addr(n.addr))
	return heap.Node{
		Addr: addr, Payload: addr, Size: uint64(max(0, r.size(n.size))), Owner: n.task,
		Birth: n.tick, Serial: n.serial, Stack: r.chains.stack(int(n.lr)),
	}
}

// snapshot delivers the live set.
func (r *records) snapshot() {
	r.since = 0
	r.chains.split()
	s := &heap.Snapshot{Tick: r.last, Nodes: make([]heap.Node, 0, len(r.live))}
	nameless, old, sizeless, rootless := 0, 0, 0, 0
	for _, n := range r.live {
		switch a := r.addr(n.addr); {
		case a == noAddr:
			nameless++
			continue
		case a == 0:
			continue // an allocation that failed; its address came later
		}
		if n.epoch < r.epoch {
			old++
		}
		if r.size(n.size) < 0 {
			sizeless++
		}
		if !r.chains.has(int(n.lr)) {
			rootless++
		}
		s.Nodes = append(s.Nodes, r.node(n))
	}
	slices.SortFunc(s.Nodes, func(a, b heap.Node) int {
		if a.Addr != b.Addr {
			return compare(a.Addr, b.Addr)
		}
		return compare(b.Serial, a.Serial)
	})
	s.Nodes = slices.CompactFunc(s.Nodes, func(a, b heap.Node) bool { return a.Addr == b.Addr })
	r.total.sizeless = max(r.total.sizeless, sizeless)
	r.total.rootless = max(r.total.rootless, rootless)
	var partial []string
	if r.lost > 0 {
		partial = append(partial, plain.Plural(r.lost, "event")+" of the record missing so far")
	}
	if r.overruns > 0 {
		partial = append(partial, "the device could not print all events in time")
	}
	if r.nameless > 0 {
		partial = append(partial, plain.Plural(r.nameless, "event")+" ignored: the device's table of addresses was full")
	}
	if nameless > 0 {
		partial = append(partial, plain.Plural(nameless, "node")+" left out: the log lacks their addresses")
	}
	if old > 0 {
		partial = append(partial, fmt.Sprintf("%s from before recording was switched off may have been freed meanwhile", plain.Plural(old, "node")))
	}
	if r.cut {
		partial = append(partial, "cut in the middle of an event or a table entry")
	}
	s.Partial = strings.Join(partial, "; ")
	r.count++
	s.Label = fmt.Sprintf("record %d", r.count)
	r.deliver(s)
}

func compare[T ~uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// notes says what a person should know about the recordings.
func (r *records) notes() []string {
	t := &r.total
	var notes []string
	note := func(n int, one, rest string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%s: event stream: %s%s", r.name, plain.Plural(n, one), rest))
		}
	}
	note(t.midway, "recording", " whose beginning the log lacks: what was allocated before is not in the live set")
	note(t.lost, "event", " missing")
	note(t.overruns, "time", " the device could not print all events in time")
	for i, table := range []string{"address", "size", "call stack"} {
		note(t.missing[i], "line", " of the "+table+" table missing")
	}
	note(t.sizeless, "live node", " without a size: the log lacks it")
	note(t.rootless, "live node", " without a call stack: the log lacks it")
	note(t.unknown, "free", " of nodes whose allocation was not recorded")
	note(t.twice, "event", " contradicting the live set: nodes resized in place, or lost events")
	note(t.back, "time", " the clock went back: garbled digits, or a restart that the log does not show")
	note(t.failed, "allocation", " failed")
	note(t.guessed, "event", " whose action had to be concluded from the live set")
	note(r.chains.doubtful()+t.chains, "call stack", " printed without separators that can be read in several ways, left out")
	return notes
}
