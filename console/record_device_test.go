package console

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// A recorder prints an event stream as a device does.
type recorder struct {
	bytes.Buffer
	shifted bool // the version that prints the action of the event before
	tables  [3]map[string]int
	slot    int
	action  int // stored in the slot of the next event, if shifted
	tick    uint64
	task    int
	serial  uint64
	live    map[uint64]heap.Node
}

func newRecorder(shifted bool) *recorder {
	r := &recorder{shifted: shifted, live: map[uint64]heap.Node{}}
	r.boot()
	return r
}

// boot begins as the device does: with entries that balance its trees.
func (r *recorder) boot() {
	r.tables = [3]map[string]int{{}, {}, {}}
	r.slot, r.action, r.tick = 0, 0, 0
	clear(r.live)
	r.id(0, "568c00")
	for _, size := range []string{"616", "136", "1708", "1580"} {
		r.id(1, size)
	}
	r.id(2, "2174421744"+"21744")
}

func base64[T int | uint64](v T, width int) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ~!"
	s := make([]byte, width)
	for i := width - 1; i >= 0; i-- {
		s[i] = digits[v&63]
		v >>= 6
	}
	return string(s)
}

// id returns the number of an entry, printing it if it is new.
func (r *recorder) id(table int, text string) int {
	n, ok := r.tables[table][text]
	if !ok {
		n = len(r.tables[table])
		r.tables[table][text] = n
		delimiter := []string{"~^", "*^", "$^"}[table]
		fmt.Fprintf(r, "%s%s%s^%c\n", delimiter, base64(n, []int{3, 2, 2}[table]), text, delimiter[0])
	}
	return n
}

func (r *recorder) event(action int, addr, size uint64, stack heap.Stack) {
	text := ""
	for i := range 3 {
		lr := heap.Addr(0)
		if i < len(stack) {
			lr = stack[i]
		}
		text += fmt.Sprintf("%x", uint64(lr))
	}
	a, z, l := r.id(0, fmt.Sprintf("%x", addr)), r.id(1, fmt.Sprint(size)), r.id(2, text)
	if r.shifted {
		action, r.action = r.action, action
	}
	r.serial++
	r.WriteString("~!" + base64(r.slot, 2) + base64(a, 3) + base64(z, 2) + base64(action, 4) + base64(r.task, 2) +
		base64(r.tick%recordTick, 6) + base64(l, 2) + "!~\n")
	r.slot = (r.slot + 1) % recordSlots
}

func (r *recorder) alloc(addr, size uint64, stack heap.Stack) {
	r.event(allocAction, addr, size, stack)
	r.live[addr] = heap.Node{
		Addr: heap.Addr(addr), Payload: heap.Addr(addr), Size: size, Owner: heap.Owner(r.task), Birth: r.tick, Serial: r.serial, Stack: stack,
	}
}

func (r *recorder) free(addr uint64, stack heap.Stack) {
	r.event(freeAction, addr, r.live[addr].Size, stack)
	delete(r.live, addr)
}

// nodes returns the live set as a snapshot shows it.
func (r *recorder) nodes() []heap.Node {
	nodes := slices.AppendSeq([]heap.Node{}, maps.Values(r.live))
	slices.SortFunc(nodes, func(a, b heap.Node) int { return compare(a.Addr, b.Addr) })
	return nodes
}

// churn runs a program that allocates and frees.
func (r *recorder) churn(rng *rand.Rand, steps int, at func()) {
	for range steps {
		r.tick += uint64(1 + rng.IntN(3))
		r.task = rng.IntN(8)
		stack := heap.Stack{0x11ea0 + heap.Addr(rng.IntN(10))*52, 0x21744, 0x113dc}
		addrs := slices.Sorted(maps.Keys(r.live))
		if len(addrs) > 0 && rng.IntN(5) < 2 {
			r.free(addrs[rng.IntN(len(addrs))], stack)
		} else {
			addr := uint64(0x60000 + 16*rng.IntN(4000))
			if _, used := r.live[addr]; used {
				continue
			}
			r.alloc(addr, uint64(4*(1+rng.IntN(50))), stack)
		}
		at()
	}
}
