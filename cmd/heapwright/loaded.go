package main

import (
	"errors"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// A loaded program is that of --symbols where it lay in the memory of the source
// being read.
type loaded struct {
	*symbol.Shifted
	bias heap.Addr // what was added to the addresses in the file
}

func (l *loaded) move(bias heap.Addr) { l.Shifted, l.bias = l.Table.Shifted(bias), bias }

// tableOf returns the file that sym is from, nil if it is from none.
func tableOf(sym heap.Symbolizer) *symbol.Table {
	if l, ok := sym.(*loaded); ok {
		return l.Table
	}
	return nil
}

// Calls is that of the table with addresses in memory.
func (l *loaded) Calls(stacks []heap.Stack) (calls, checked int) {
	moved := make([]heap.Stack, len(stacks))
	for i, s := range stacks {
		for _, lr := range s {
			moved[i] = append(moved[i], lr-l.bias)
		}
	}
	return l.Table.Calls(moved)
}

// load puts the program where the files that were mapped have it, and says what
// is wrong with that. Without any it is where the linker put it.
func (in *input) load(mappings []heap.Mapping) (warning string) {
	if in.loaded == nil {
		return ""
	}
	in.loaded.move(0)
	if len(mappings) == 0 || !in.loaded.ELF() {
		return ""
	}
	bias, err := in.loaded.Table.Bias(mappings)
	switch {
	case errors.Is(err, symbol.ErrNotMapped) && !in.loaded.Movable():
	case err != nil:
		return fmt.Sprintf("names of functions may be wrong: where %s was loaded is not known: %v", in.symbols, err)
	default:
		in.loaded.move(bias)
	}
	return ""
}
