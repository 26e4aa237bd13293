package console

import (
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
)

// A chainTable holds the call stacks of an event stream. The device prints the
// three LRs of a stack with %x one behind the other: where one ends can only
// be concluded. Levels that are not there are a 0 at the end; other LRs do not
// begin with 0. All lie in the program, so most have the same number of digits
// w. The reading is taken whose LRs deviate least from w, if every other
// deviates by a digit more; then, one after the other, those that are best by
// far when LRs already read elsewhere and the alignment of all of them count
// too. A stack that stays doubtful is left out rather than guessed.
type chainTable struct {
	chains []chain
	known  map[heap.Addr]bool
	low    uint64 // bits among the lowest two that known LRs differ in, or that are set in them
	odd    bool   // all known LRs are odd: Thumb code
	fresh  []int  // numbers of chains not tried yet
	w      int    // digits of most LRs
	tried  int    // LRs known when all doubtful chains were tried last
}

type chain struct {
	text  string
	stack heap.Stack
	sure  bool
}

const (
	recordLevels = 3
	// widest is how far the digits of an LR may deviate from w.
	widest = 2
	// maxKnown bounds the LRs that are remembered: three per stack.
	maxKnown = recordLevels << 12
	// enoughLRs is how many LRs it takes to conclude an alignment.
	enoughLRs = 8
)

// put defines the stack with the number id.
func (t *chainTable) put(id int, text []byte) {
	for len(t.chains) <= id {
		t.chains = append(t.chains, chain{})
	}
	t.chains[id] = chain{text: string(text)}
	if t.fresh = append(t.fresh, id); len(t.fresh) > maxKnown {
		t.split()
	}
}

func (t *chainTable) has(id int) bool { return id < len(t.chains) && t.chains[id].text != "" }

// stack returns the stack with the number id, empty if it is not known.
func (t *chainTable) stack(id int) heap.Stack {
	if id < len(t.chains) && t.chains[id].sure {
		return t.chains[id].stack
	}
	return heap.Stack{}
}

// doubtful counts the stacks that could not be split.
func (t *chainTable) doubtful() int {
	n := 0
	for _, c := range t.chains {
		if c.text != "" && !c.sure {
			n++
		}
	}
	return n
}

// split reads the stacks that were not tried yet. Doubtful ones are tried again
// when much more is known than the last time.
func (t *chainTable) split() {
	if len(t.fresh) == 0 {
		return
	}
	if t.w == 0 || len(t.known) >= t.tried+t.tried/8 {
		t.again()
		return
	}
	for pass := range 2 {
		for _, id := range t.fresh {
			t.try(id, pass > 0)
		}
	}
	t.fresh = t.fresh[:0]
}

// again reads all stacks that are doubtful.
func (t *chainTable) again() {
	t.w = t.digits()
	for pass := range 3 {
		for id := range t.chains {
			t.try(id, pass > 0)
		}
	}
	t.tried = len(t.known)
	t.fresh = t.fresh[:0]
}

func (t *chainTable) try(id int, more bool) {
	c := &t.chains[id]
	if c.text == "" || c.sure {
		return
	}
	if stack, ok := t.read(c.text, t.w, more); ok {
		c.stack, c.sure = stack, true
		t.learn(stack)
	}
}

// digits returns the number of digits that most LRs have. A stack of three
// equal LRs, with which the device begins, is the best witness.
func (t *chainTable) digits() int {
	var count [17]int
	for _, c := range t.chains {
		n := len(c.text) / recordLevels
		if len(c.text)%recordLevels != 0 || n == 0 || n > 16 {
			continue
		}
		count[n]++
		if c.text[:n] == c.text[n:2*n] && c.text[:n] == c.text[2*n:] && n > 1 {
			return n
		}
	}
	best := 8
	for n, k := range count {
		if k > count[best] {
			best = n
		}
	}
	return best
}

// read returns the best reading of text, and whether it is good enough. With
// more it goes by what is known from other stacks, too.
func (t *chainTable) read(text string, w int, more bool) (heap.Stack, bool) {
	if text == "000" {
		return heap.Stack{}, true
	}
	margin := 4
	if more {
		margin = 2
	}
	var best heap.Stack
	lowest, second := 1<<20, 1<<20
	t.readings(text, w, func(stack heap.Stack, cost int) {
		if more {
			cost += t.oddity(stack)
		}
		switch {
		case cost < lowest:
			lowest, second = cost, lowest
			best = slices.Clone(stack)
		case cost < second:
			second = cost
		}
	})
	return best, best != nil && second-lowest >= margin
}

// readings calls yield with every reading of text and how far it deviates.
func (t *chainTable) readings(text string, w int, yield func(heap.Stack, int)) {
	var stack [recordLevels]heap.Addr
	var from func(rest string, level, cost int)
	from = func(rest string, level, cost int) {
		if rest == "000"[:recordLevels-level] {
			yield(stack[:level], cost+recordLevels-level)
			return
		}
		if level == recordLevels || rest == "" || rest[0] == '0' {
			return
		}
		for n := max(1, w-widest); n <= min(len(rest), w+widest, 16); n++ {
			v, err := strconv.ParseUint(rest[:n], 16, 64)
			if err != nil {
				return
			}
			stack[level] = heap.Addr(v)
			from(rest[n:], level+1, cost+4*max(n-w, w-n))
		}
	}
	from(text, 0, 0)
}

// oddity is what counts against a reading for another reason than its digits.
func (t *chainTable) oddity(stack heap.Stack) int {
	cost := 0
	for _, lr := range stack {
		if t.known[lr] {
			cost -= 3
		}
		if len(t.known) < enoughLRs {
			continue
		}
		if t.low == 0 && lr&3 != 0 || t.odd && lr&1 == 0 {
			cost += 2
		}
	}
	return cost
}

// learn remembers the LRs of a stack that was read.
func (t *chainTable) learn(stack heap.Stack) {
	if t.known == nil {
		t.known = map[heap.Addr]bool{}
		t.odd = true
	}
	for _, lr := range stack {
		if len(t.known) < maxKnown {
			t.known[lr] = true
		}
		t.low |= uint64(lr & 3)
		t.odd = t.odd && lr&1 == 1
	}
}
