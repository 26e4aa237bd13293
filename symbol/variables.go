package symbol

import (
	"cmp"
	"debug/elf"
	"slices"
	"sort"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// variable is a symbol of data.
type variable struct {
	name       string
	addr, size uint64
	rank       int8 // localRank to globalRank
}

// What kind of memory a symbol lies in, as far as data is concerned.
const (
	otherMemory = iota // code, constants, and what is not told
	dataMemory         // written to, with initial contents
	zeroMemory         // written to, zero at first
)

// sectionName is what pieces of memory of a kind are called where the file does
// not tell.
var sectionName = [...]string{dataMemory: ".data", zeroMemory: ".bss"}

// Variable implements heap.Program. It knows the variables in the symbol table,
// static ones included: of several with one name the global one counts, and of
// several static ones none, since it cannot be known which is meant. Where
// there is none of that name the only one does that the compiler made of it by
// appending a dot, or a dollar sign, and more ("pool.0", "pool.lto_priv.1"), such
// as static variables of functions. Names of C++ are those of the linker.
//
// Text of nm tells sizes only with -S; of a GNU ld map only variables in
// sections of their own (-fdata-sections) have one.
func (t *Table) Variable(name string) (heap.Span, bool) {
	if name == "" {
		return heap.Span{}, false
	}
	all := t.named(name, func(s string) bool { return s == name })
	for _, mark := range []string{".", "$"} {
		if len(all) == 0 {
			all = t.named(name+mark, func(s string) bool { return strings.HasPrefix(s, name+mark) })
		}
	}
	return theOne(all)
}

// named returns the variables from the first that sorts at or behind name on, as
// far as they match.
func (t *Table) named(name string, match func(string) bool) []variable {
	i, _ := slices.BinarySearchFunc(t.variables, name, func(v variable, name string) int { return cmp.Compare(v.name, name) })
	j := i
	for j < len(t.variables) && match(t.variables[j].name) {
		j++
	}
	return t.variables[i:j]
}

// theOne returns the variable that counts among those of a name.
func theOne(all []variable) (s heap.Span, ok bool) {
	best := variable{}
	for _, v := range all {
		switch {
		case v.rank > best.rank:
			best, ok = v, true
		case v.addr == best.addr:
			best.size = max(best.size, v.size)
		case v.rank == best.rank:
			ok = false
		}
	}
	if !ok {
		return heap.Span{}, false
	}
	return heap.Span{Start: heap.Addr(best.addr), End: heap.Addr(best.addr + best.size)}, true
}

// VariableAt returns the name of the variable that addr lies in, readable as
// those of functions are, and where it lies. Of several that begin at one address
// those with a size count before labels, then those that people name before those
// of linkers, then global ones, then the one with the shorter name. A variable
// whose size the file does not tell is taken to reach to the next one, as long as
// the section of Data that it is in.
func (t *Table) VariableAt(addr heap.Addr) (name string, at heap.Span, ok bool) {
	above := sort.Search(len(t.byAddress), func(i int) bool { return t.variables[t.byAddress[i]].addr > uint64(addr) })
	var best variable
	sized := false
	// Variables hardly ever nest; the bound is for files made to hurt.
	for i := above - 1; i >= max(0, above-64); i-- {
		v := t.variables[t.byAddress[i]]
		if best.name != "" && v.addr != best.addr {
			break
		}
		has := v.size > 0
		if !has {
			v.size = t.unsized(v.addr, above)
		}
		if uint64(addr)-v.addr >= v.size {
			continue
		}
		if best.name == "" || has && !sized || has == sized && v.before(&best) {
			best, sized = v, has
		}
	}
	if best.name == "" {
		return "", heap.Span{}, false
	}
	return t.names.readable(best.name), heap.Span{Start: heap.Addr(best.addr), End: heap.Addr(best.addr + best.size)}, true
}

// before reports whether v is the better name for what o names, too.
func (v *variable) before(o *variable) bool {
	return cmp.Or(
		cmp.Compare(internal(v.name), internal(o.name)),
		cmp.Compare(o.rank, v.rank),
		cmp.Compare(len(v.name), len(o.name)),
	) < 0
}

// unsized returns how far a variable can reach whose size is not known; above is
// the number in byAddress of the first that lies behind it.
func (t *Table) unsized(addr uint64, above int) uint64 {
	i := sort.Search(len(t.data), func(i int) bool { return uint64(t.data[i].Start) > addr }) - 1
	if i < 0 || uint64(t.data[i].End) <= addr {
		return 0
	}
	end := uint64(t.data[i].End)
	if above < len(t.byAddress) {
		end = min(end, t.variables[t.byAddress[above]].addr)
	}
	return end - addr
}

// Data implements heap.Program. Of an ELF file it returns the sections that are
// in memory and may be written to, or such segments where there are no
// sections.
//
// Text of nm and maps do not tell the program's sections. There, what lies from
// one variable to the next without anything else in between (code, constants,
// 64 KiB of nothing) is taken to be one section, .data or .bss after the kind of
// the variables; memory in front of the first and behind the last of them is
// missed. Where a text has no sizes at all (nm without -S), a variable is taken
// to reach to the next symbol, at most a megabyte, else for 8 bytes, and a
// section to end at a symbol that says so, such as _end and __bss_end.
func (t *Table) Data() []heap.Section { return slices.Clone(t.data) }

// addVariables takes variables and pieces of data out of symbols, which are in
// ascending order of address.
func (t *Table) addVariables(symbols []symbol) {
	for i := range symbols {
		s := &symbols[i]
		if s.object == 0 || s.addr+s.size < s.addr {
			continue
		}
		t.variables = append(t.variables, variable{s.name, s.addr, s.size, s.object})
	}
	slices.SortFunc(t.variables, func(a, b variable) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.addr, b.addr), cmp.Compare(a.rank, b.rank))
	})
	t.variables = slices.Clip(t.variables)
	t.byAddress = make([]int32, len(t.variables))
	for i := range t.byAddress {
		t.byAddress[i] = int32(i)
	}
	slices.SortStableFunc(t.byAddress, func(a, b int32) int { return cmp.Compare(t.variables[a].addr, t.variables[b].addr) })
	t.data = dataPieces(symbols)
}

// maxHole is the largest piece of memory between two variables that is taken to
// be of the same section.
const maxHole = 64 << 10

// dataPieces joins what lies in memory of a kind. symbols are in ascending order
// of address. Of several at one address the kind counts that comes last in
// memory: the others are labels at the end of what is in front.
func dataPieces(symbols []symbol) (all []heap.Section) {
	sized := slices.ContainsFunc(symbols, func(s symbol) bool { return s.memory != otherMemory && s.size > 0 })
	var open *heap.Section
	for i := 0; i < len(symbols); {
		addr, size, memory, last := symbols[i].addr, uint64(0), uint8(otherMemory), false
		j := i
		for ; j < len(symbols) && symbols[j].addr == addr; j++ {
			size = max(size, symbols[j].size)
			memory = max(memory, symbols[j].memory)
			last = last || endsSection(symbols[j].name)
		}
		i = j
		switch {
		case memory == otherMemory || !sized && last:
			open = nil
			continue
		case !sized:
			size = 8
			if j < len(symbols) && symbols[j].addr-addr <= maxUnsized {
				size = symbols[j].addr - addr
			}
		}
		if size == 0 || addr+size < addr {
			continue // a label
		}
		end := heap.Addr(addr + size)
		if open != nil && open.Name == sectionName[memory] && addr-min(addr, uint64(open.End)) <= maxHole {
			open.End = max(open.End, end)
			continue
		}
		all = append(all, heap.Section{Span: heap.Span{Start: heap.Addr(addr), End: end}, Name: sectionName[memory]})
		open = &all[len(all)-1]
	}
	return all
}

// endsSection reports whether linker scripts give that name to the end of a
// section.
func endsSection(name string) bool {
	name = strings.ToLower(strings.Trim(name, "_"))
	return name == "end" || name == "edata" || name == "ebss" || strings.HasSuffix(name, "_end")
}

// writable returns the sections, or where there are none the segments, of f that
// its program can write to, in ascending order of address.
func writable(f *elf.File) (all []heap.Section) {
	add := func(name string, addr, size uint64) {
		if addr+size > addr {
			all = append(all, heap.Section{Span: heap.Span{Start: heap.Addr(addr), End: heap.Addr(addr + size)}, Name: name})
		}
	}
	const want = elf.SHF_ALLOC | elf.SHF_WRITE
	for _, s := range f.Sections {
		// Each thread has its own .tbss, elsewhere.
		if s.Flags&want == want && (s.Flags&elf.SHF_TLS == 0 || s.Type != elf.SHT_NOBITS) {
			add(cmp.Or(s.Name, "writable section"), s.Addr, s.Size)
		}
	}
	if len(f.Sections) == 0 {
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_W != 0 {
				add("writable segment", p.Vaddr, p.Memsz)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b heap.Section) int { return cmp.Compare(a.Start, b.Start) })
	return all
}
