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
	chains bootTable[chain]
	tries  int // readings of one chain so far, over all boots

	chainState
}

// chainState is what ends when the device restarts.
type chainState struct {
	ids   []int // of the chains, in the order in which they were defined
	known map[heap.Addr]bool
	low   uint64 // bits among the lowest two that known LRs differ in, or that are set in them
	odd   bool   // all known LRs are odd: Thumb code
	fresh []int  // numbers of chains not tried yet
	w     int    // digits of most LRs
	news  int    // chains defined since all doubtful ones were tried last
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
	// minNews is the least number of new chains that make it worth while to
	// try all doubtful ones again, manyNews the share of them, as a divisor.
	minNews, manyNews = 8, 4
)

// restart forgets the stacks.
func (t *chainTable) restart() {
	t.chains.restart()
	t.chainState = chainState{ids: t.ids[:0], fresh: t.fresh[:0]}
}

// put defines the stack with the number id.
func (t *chainTable) put(id int, text []byte) {
	if t.chains.get(id) == nil {
		t.ids = append(t.ids, id)
	}
	*t.chains.at(id) = chain{text: string(text)}
	t.news++
	if t.fresh = append(t.fresh, id); len(t.fresh) > maxKnown {
		t.split()
	}
}

func (t *chainTable) has(id int) bool { return t.chains.get(id) != nil }

// stack returns the stack with the number id, empty if it is not known.
func (t *chainTable) stack(id int) heap.Stack {
	if c := t.chains.get(id); c != nil && c.sure {
		return c.stack
	}
	return heap.Stack{}
}

// doubtful counts the stacks that could not be split.
func (t *chainTable) doubtful() int {
	n := 0
	for _, id := range t.ids {
		if !t.chains.get(id).sure {
			n++
		}
	}
	return n
}

// split reads the stacks that were not tried yet. Doubtful ones are tried again
// when there are so many new ones that this costs each of them a few tries.
func (t *chainTable) split() {
	if len(t.fresh) == 0 {
		return
	}
	if t.w == 0 || t.news >= max(minNews, len(t.ids)/manyNews) {
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
		for _, id := range t.ids {
			t.try(id, pass > 0)
		}
	}
	t.news = 0
	t.fresh = t.fresh[:0]
}

func (t *chainTable) try(id int, more bool) {
	c := t.chains.get(id)
	if c.sure {
		return
	}
	t.tries++
	if stack, ok := t.read(c.text, t.w, more); ok {
		c.stack, c.sure = stack, true
		t.learn(stack)
	}
}

// digits returns the number of digits that most LRs have. A stack of three
// equal LRs, with which the device begins, is the best witness.
func (t *chainTable) digits() int {
	var count [17]int
	for _, id := range t.ids {
		c := t.chains.get(id)
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
	var best [recordLevels]heap.Addr
	levels := -1
	lowest, second := 1<<20, 1<<20
	t.readings(text, w, func(stack heap.Stack, cost int) {
		if more {
			cost += t.oddity(stack)
		}
		switch {
		case cost < lowest:
			lowest, second = cost, lowest
			levels = copy(best[:], stack)
		case cost < second:
			second = cost
		}
	})
	if levels < 0 || second-lowest < margin {
		return nil, false
	}
	return slices.Clone(heap.Stack(best[:levels])), true
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
		// What is left has to fit the levels that are left.
		least := len(rest) - (recordLevels-level-1)*min(w+widest, 16)
		for n := max(1, w-widest, least); n <= min(len(rest), w+widest, 16); n++ {
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
