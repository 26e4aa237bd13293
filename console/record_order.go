package console

// An actionOrder finds out whether the action printed with an event is its own
// or that of the event before. In newer versions of LiteOS the recorder
// increments its index before it stores the action, so that the action lands
// in the slot of the next event. Nothing in the stream says which version it
// is, but under the wrong reading nodes are allocated that are live, and freed
// with another size than they were allocated with; under the right one they
// are not.
//
// Events are kept back until one reading is clearly better, usually a dozen,
// at most maxUndecided. If none ever is, an event's action is its own.
type actionOrder struct {
	decided bool
	shifted bool
	pending []recordEvent
	score   [2]int // of the readings: own, shifted
	state   [2]map[uint32]readAddr
}

// A readAddr is what a reading has concluded about an address.
type readAddr struct {
	live bool
	size uint16 // number
}

const (
	maxUndecided = 4096
	// decisive is how much better one reading has to be.
	decisive = 6
)

// weigh takes in the next event.
func (o *actionOrder) weigh(e recordEvent, sizes *bootTable[int64]) {
	if o.state[0] == nil {
		o.state = [2]map[uint32]readAddr{{}, {}}
		if e.slot == 0 && e.action == freeAction {
			o.score[1]++ // nothing can be freed yet
		}
	}
	o.rate(0, e, e.action, sizes)
	if n := len(o.pending); n > 0 && !e.gap {
		o.rate(1, o.pending[n-1], e.action, sizes)
	}
	o.pending = append(o.pending, e)
	if d := o.score[1] - o.score[0]; d >= decisive || d <= -decisive || len(o.pending) >= maxUndecided {
		o.decide()
	}
}

// rate scores a reading by how well an action fits what it has concluded so
// far.
func (o *actionOrder) rate(reading int, e recordEvent, action uint8, sizes *bootTable[int64]) {
	score := &o.score[reading]
	if size := sizes.get(int(e.size)); size != nil && (*size == 0) != (action == invalidAction) {
		*score -= 4 // the size of an invalid free, and only of that, is 0
	}
	was, known := o.state[reading][e.addr]
	switch action {
	case allocAction:
		if known && was.live {
			*score -= 2
		} else if known {
			*score++
		}
		o.state[reading][e.addr] = readAddr{true, e.size}
	case freeAction:
		switch {
		case !known:
		case was.live && was.size == e.size:
			*score++
		default:
			*score -= 2
		}
		o.state[reading][e.addr] = readAddr{false, e.size}
	}
}

// decide decides for the reading that is clearly better; if none is, for the
// plain one.
func (o *actionOrder) decide() {
	o.decided = true
	o.shifted = o.score[1]-o.score[0] >= decisive/2
}

// next returns what a restarted device begins with: most likely it still runs
// the same version.
func (o *actionOrder) next() actionOrder {
	var n actionOrder
	if o.shifted {
		n.score[1] = decisive / 2
	}
	return n
}

// settle returns the events that were kept back, deciding with what there is.
func (o *actionOrder) settle() []recordEvent {
	if !o.decided && len(o.pending) > 0 {
		o.decide()
	}
	events := o.pending
	o.pending, o.state = nil, [2]map[uint32]readAddr{}
	return events
}
