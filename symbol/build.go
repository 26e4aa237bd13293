package symbol

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

const (
	// maxSymbols bounds the symbols of a file; the largest kernels have a
	// few hundred thousand.
	maxSymbols = 4 << 20
	// maxUnsized bounds a function whose size the file does not tell. It ends
	// where the next symbol begins, but between two memory regions that can
	// be far away.
	maxUnsized = 1 << 20
	// maxSize is the size beyond which a file's word is not believed.
	maxSize = 64 << 20
)

var (
	errNoFunctions = errors.New("no function in it")
	errTooMany     = errors.New("more than 4194304 symbols")
)

// A symbol is one entry of a symbol table, of whatever origin.
type symbol struct {
	addr, size uint64 // size 0: not told
	limit      uint64 // an unsized function ends here at the latest; 0: no limit
	name       string
	rank       int // of several functions at one address, the highest is taken; 0: no function
	// object is the rank of a variable, 0 of what is none; memory is the kind
	// of memory that it lies in.
	object int8
	memory uint8
}

// Ranks. Of two functions at one address the one with a size is taken (labels
// of linker scripts and assembly have none), then the higher rank, then the
// name that looks less like a compiler's or linker's own, then the alphabet.
const (
	notFunction = iota
	labelRank   // assembly label without a type
	localRank
	weakRank
	globalRank
)

// isMapping reports whether name is one of the symbols with which ARM and
// RISC-V toolchains mark code and data: $a $t $d $x, with an optional suffix.
func isMapping(name string) bool {
	return len(name) >= 2 && name[0] == '$' && strings.IndexByte("atdx", name[1]) >= 0 &&
		(len(name) == 2 || name[2] == '.' || name[1] == 'x')
}

// newTable turns symbols, in any order, into a table. It sorts them in place.
// Without any function it returns a table of what else there is as well as
// errNoFunctions.
func newTable(symbols []symbol, kind string) (*Table, error) {
	for i := range symbols {
		if s := &symbols[i]; s.size > maxSize && s.rank != notFunction {
			s.size = 0
		}
	}
	slices.SortFunc(symbols, func(a, b symbol) int {
		return cmp.Or(
			cmp.Compare(a.addr, b.addr),
			-cmp.Compare(min(a.rank, 1), min(b.rank, 1)),
			-cmp.Compare(min(a.size, 1), min(b.size, 1)),
			-cmp.Compare(a.rank, b.rank),
			cmp.Compare(internal(a.name), internal(b.name)),
			cmp.Compare(a.name, b.name),
		)
	})
	t := &Table{kind: kind}
	t.addVariables(symbols)
	var reach uint64 // the largest end of the sized functions so far
	for i := 0; i < len(symbols); {
		s := symbols[i]
		j := i + 1
		for j < len(symbols) && symbols[j].addr == s.addr {
			j++
		}
		i = j
		if s.rank == notFunction {
			continue
		}
		end := s.addr + s.size
		if s.size == 0 {
			if s.addr < reach {
				continue // a label inside a function
			}
			end = s.addr + maxUnsized
			if j < len(symbols) {
				end = min(end, symbols[j].addr)
			}
			if s.limit > 0 {
				end = min(end, s.limit)
			}
		}
		if end <= s.addr {
			continue // it would wrap around
		}
		if s.size > 0 {
			reach = max(reach, end)
		}
		t.functions = append(t.functions, function{s.addr, end, s.name})
	}
	if len(t.functions) == 0 {
		return t, errNoFunctions
	}
	t.functions = slices.Clip(t.functions)
	t.reach = make([]uint64, len(t.functions))
	reach = 0
	for i, f := range t.functions {
		reach = max(reach, f.end)
		t.reach[i] = reach
	}
	return t, nil
}

// internal returns 1 for names that compilers, linkers and assemblers give, 0
// for those that people give.
func internal(name string) int {
	if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "$") {
		return 1
	}
	return 0
}
