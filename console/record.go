package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
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
	// searchBudget bounds the work of explaining invalid frees in one log, in
	// nodes looked at.
	searchBudget = 64 << 20
	// A log that asks for its whole live set in every other line shall not get
	// it: marks, commands and EveryTicks get snapshots as long as all together
	// hold at most so many nodes, and so many more per event.
	askBudget   = 8 << 20
	askPerEvent = 32
	// maxStale is how many lines may stand between the halves of a piece.
	maxStale = 3

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
	unseen int // as in recordState, when it was printed
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
	unseen int // of its allocation
}

// A recordAddr is what is known about the address with its number.
type recordAddr struct {
	addr   uint64
	known  bool  // addr is
	freed  bool  // after an allocation
	live   int32 // position in records.live, from 1
	lr     uint16
	unseen int // of the free
}

// records rebuilds the live set from an event stream.
type records struct {
	name    string
	emit    func(*heap.Finding)
	deliver func(*heap.Snapshot)
	task    func(heap.Owner) string // its name; empty: unknown
	reboot  func()                  // the device has restarted without saying so

	every uint64 // ticks between snapshots; 0: by events
	carry []byte // of a piece that goes on in the next line
	stale int    // lines since
	count int    // snapshots delivered

	searchBudget, askBudget int

	addrs  bootTable[recordAddr]
	sizes  bootTable[int64]
	chains chainTable
	sorted []nodeOrder // of a snapshot, for the next to use

	recordState
	total recordTotals
}

// recordState is what ends when the device restarts.
type recordState struct {
	next [3]int // number expected next in each table

	actions actionOrder
	held    recordEvent // waits for its action, if holds
	holds   bool

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
	// unseen counts the events that the log or the recording lacks so far, as
	// far as they can be counted: where it has grown, something may have
	// happened that nobody saw.
	unseen int
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
	walked   int    // nodes gone through to make snapshots
	refused  int    // times that somebody asked too often
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
			if joined = trimEnd(joined); len(joined) > len(r.carry) {
				r.carry, r.stale = joined, 0
				return true
			}
			fallthrough
		default:
			if r.stale++; r.stale > maxStale {
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
			r.carry, r.stale = append(r.carry[:0], trimEnd(line)...), 0
			return true
		}
		line = line[1:]
	}
	if r.begun && bytes.Contains(line, []byte("Rec:error")) {
		r.overruns++
		r.total.overruns++
		r.unseen++
		mine = true
	}
	return mine
}

// trimEnd cuts off what isSpace accepts at the end of b.
func trimEnd(b []byte) []byte {
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// command notes the commands that switch recording on and off.
func (r *records) command(line []byte) {
	switch {
	case bytes.Contains(line, []byte("memshowdisable")):
		r.settle()
		r.mark()
		r.off = true
	case r.off && bytes.Contains(line, []byte("memshowenable")):
		r.off = false
		r.epoch++
		r.unseen++
	}
}

// mark delivers the live set at a moment somebody asked for.
func (r *records) mark() {
	if r.since > 0 && r.affordable() {
		r.snapshot()
	}
}

// affordable reports whether to deliver the live set only because somebody
// asked for it. If not, it comes with the events, later.
func (r *records) affordable() bool {
	if r.total.walked+len(r.live) <= r.askBudget+askPerEvent*r.total.events {
		return true
	}
	r.total.refused++
	return false
}

// end ends the recordings of a log.
func (r *records) end() {
	r.chains.again()
	r.cut = r.begun && len(r.carry) > len("~!")
	r.finish()
}

// finish ends the recordings of a boot.
func (r *records) finish() {
	r.settle()
	if r.since > 0 || r.cut {
		r.snapshot()
	}
}

// settle applies the events that were kept back.
func (r *records) settle() {
	for _, e := range r.actions.settle() {
		r.settled(e)
	}
	if r.holds {
		// Nothing will say what the last event was; that is no loss.
		r.release(-1)
		r.total.guessed--
	}
}

// restart forgets what ends with a boot.
func (r *records) restart() {
	r.finish()
	r.total.chains += r.chains.doubtful()
	r.addrs.restart()
	r.sizes.restart()
	r.chains.restart()
	r.recordState = recordState{actions: r.actions.next(), live: r.live[:0]}
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
		a := r.addrs.at(p.id)
		r.number(0, p.id, !a.known)
		a.addr, a.known = p.value, true
	case sizePiece:
		r.number(1, p.id, r.sizes.get(p.id) == nil)
		*r.sizes.at(p.id) = int64(p.value)
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
		r.unseen += missing
	}
	if r.unnamed(e) {
		r.unseen++
	}
	e.unseen = r.unseen
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
	if r.actions.decided {
		r.settled(e)
		return
	}
	r.actions.weigh(e, &r.sizes)
	if r.actions.decided {
		for _, e := range r.actions.settle() {
			r.settled(e)
		}
	}
}

// settled takes in an event when it is known which action belongs to which.
func (r *records) settled(e recordEvent) {
	if !r.actions.shifted {
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
	default:
		e.action = allocAction
		if a := r.addrs.get(int(e.addr)); a != nil && a.live > 0 {
			e.action = freeAction
		}
	}
	r.apply(e)
}

// unnamed reports whether the device had no number for the address of e: its
// table was full.
func (r *records) unnamed(e recordEvent) bool {
	return e.addr == 1<<18-1 && r.addr(e.addr) == noAddr
}

// apply changes the live set.
func (r *records) apply(e recordEvent) {
	if r.every > 0 && r.since > 0 && e.tick >= r.at+r.every {
		if r.affordable() {
			r.snapshot()
		}
		r.at = e.tick
	}
	r.serial++
	r.since++
	if r.since == 1 {
		r.at = e.tick
	}
	r.last = e.tick
	if r.unnamed(e) {
		r.nameless++
		return
	}
	a := r.addrs.at(int(e.addr))
	switch e.action {
	case allocAction:
		if a.known && a.addr == 0 {
			r.total.failed++
			break
		}
		if a.live > 0 {
			r.total.twice++ // resized in place, or its free is missing
			r.remove(a)
		}
		r.live = append(r.live, recordNode{e.addr, e.size, e.lr, e.task, r.epoch, e.tick, r.serial, e.unseen})
		a.live, a.freed = int32(len(r.live)), false
	case freeAction:
		switch {
		case a.live > 0:
			r.remove(a)
			a.freed, a.lr, a.unseen = true, e.lr, e.unseen
		case a.freed:
			r.total.twice++
		default:
			r.total.unknown++
		}
	case invalidAction:
		r.invalid(e, a)
	}
	if (r.every == 0 || r.total.refused > 0) && r.since >= max(snapshotEvents, len(r.live)) {
		r.snapshot()
	}
}

// remove takes the node at a out of the live set.
func (r *records) remove(a *recordAddr) {
	last := len(r.live) - 1
	moved := r.live[last]
	r.live[a.live-1] = moved
	r.addrs.get(int(moved.addr)).live = a.live
	r.live = r.live[:last]
	a.live = 0
}

// addr returns the address with a number, noAddr if the log lacks it.
func (r *records) addr(number uint32) uint64 {
	if a := r.addrs.get(int(number)); a != nil && a.known {
		return a.addr
	}
	return noAddr
}

// size returns the size with a number, -1 if the log lacks it.
func (r *records) size(number uint16) int64 {
	if size := r.sizes.get(int(number)); size != nil {
		return *size
	}
	return -1
}
