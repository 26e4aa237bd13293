package symbol

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// A segment is a part of an ELF file that is loaded.
type segment struct {
	addr, offset, fileSize uint64
}

// maxSegments bounds the segments that are looked at; linkers write fewer than
// ten.
const maxSegments = 64

func segmentsOf(f *elf.File) (all []segment) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Filesz > 0 && p.Off+p.Filesz > p.Off && len(all) < maxSegments {
			all = append(all, segment{p.Vaddr, p.Off, p.Filesz})
		}
	}
	return all
}

// Movable reports whether the program is an ELF file that may be loaded
// anywhere: a position-independent executable or a shared object. Its addresses
// are then those of a core or of a running process minus a bias.
func (t *Table) Movable() bool { return t.movable }

// ErrNotMapped says that a program is not among those that were mapped.
var ErrNotMapped = errors.New("the program is not among the mapped files")

// Bias returns what has to be added to the addresses in the program's file to
// get those in memory, modulo 2^64, given the files that were mapped there as a
// core names them. It is 0 of a program at the addresses it was linked for.
//
// The file in question is the one with the name of the table's; if there is
// none, because it was renamed or moved, the only one into which all segments
// of the program fit. Every segment must be mapped where the bias has it:
// otherwise what was mapped is another build, and the error says so. It wraps
// ErrNotMapped where no mapped file looks like the program.
func (t *Table) Bias(mappings []heap.Mapping) (heap.Addr, error) {
	if len(t.segments) == 0 {
		return 0, errors.New("not an ELF file: it does not tell what is mapped where")
	}
	byFile := make(map[string][]heap.Mapping)
	for _, m := range mappings {
		byFile[m.File] = append(byFile[m.File], m)
	}
	var fits, named []string
	biases := make(map[string]heap.Addr)
	for file, its := range byFile {
		bias, ok := t.fit(its)
		if ok {
			fits, biases[file] = append(fits, file), bias
		}
		if t.path != "" && baseName(file) == filepath.Base(t.path) {
			named = append(named, file)
			if ok {
				return bias, nil
			}
		}
	}
	switch {
	case len(named) > 0:
		slices.Sort(named)
		return 0, fmt.Errorf("%s was mapped, but not as this file would be: it is another build", named[0])
	case len(fits) == 1:
		return biases[fits[0]], nil
	case len(fits) > 1:
		slices.Sort(fits)
		return 0, fmt.Errorf("%w by name, and %d of them could be it: %s", ErrNotMapped, len(fits), strings.Join(fits[:min(len(fits), 4)], ", "))
	}
	return 0, ErrNotMapped
}

// baseName is the last part of the name of a file on the observed system, which
// Linux marks where the file was deleted.
func baseName(file string) string {
	file = strings.TrimSuffix(file, " (deleted)")
	return file[strings.LastIndexByte(file, '/')+1:]
}

const (
	// page is the smallest page, which addresses of files are multiples of.
	page = 4 << 10
	// maxPage is the largest that segments are aligned to.
	maxPage = 64 << 10
)

// fit returns the bias with which every segment of the program lies in one of
// the mappings, which are of one file. A program may have mapped its own file as
// a whole besides: of several biases the one counts with which most segments lie
// at the start of a mapping, as loaders have them.
func (t *Table) fit(mappings []heap.Mapping) (bias heap.Addr, ok bool) {
	first, most := &t.segments[0], -1
	for _, m := range mappings[:min(len(mappings), maxSegments)] {
		// The start of the mapping is that of the page the segment begins in.
		if m.Offset > first.offset || first.offset-m.Offset >= maxPage {
			continue
		}
		b := heap.Addr(uint64(m.Start) - (first.addr - (first.offset - m.Offset)))
		starts, all := 0, b%page == 0
		for _, s := range t.segments {
			in, at := mapped(mappings, s, b)
			all = all && in
			if at {
				starts++
			}
		}
		if all && starts > most {
			bias, ok, most = b, true, starts
		}
	}
	return bias, ok
}

// mapped reports whether the beginning of a segment lies in one of the mappings
// with this bias, and whether in the first page of one.
func mapped(mappings []heap.Mapping, s segment, bias heap.Addr) (in, start bool) {
	at := heap.Addr(s.addr) + bias
	for _, m := range mappings {
		if off := uint64(at - m.Start); at >= m.Start && at < m.Limit && m.Offset+off == s.offset {
			in, start = true, start || off < page
		}
	}
	return in, start
}

// Shifted returns the same program as it is when loaded bias bytes above the
// addresses in its file, modulo 2^64. It shares all it has with t.
func (t *Table) Shifted(bias heap.Addr) *Shifted { return &Shifted{t, bias} }

// A Shifted is a Table of a program that lies elsewhere in memory. It
// implements heap.Symbolizer and heap.Program and may be used by several
// goroutines at a time.
type Shifted struct {
	*Table
	bias heap.Addr
}

var (
	_ heap.Symbolizer = (*Shifted)(nil)
	_ heap.Program    = (*Shifted)(nil)
	_ heap.Program    = (*Table)(nil)
)

// Frames is Table.Frames of an address in memory.
func (s *Shifted) Frames(lr heap.Addr) []heap.Frame {
	frames := s.Table.Frames(lr - s.bias)
	for i := range frames {
		frames[i].Addr = lr
	}
	return frames
}

// Variable is Table.Variable with addresses in memory.
func (s *Shifted) Variable(name string) (heap.Span, bool) {
	span, ok := s.Table.Variable(name)
	if !ok {
		return heap.Span{}, false
	}
	return s.span(span), true
}

// VariableAt is Table.VariableAt with addresses in memory.
func (s *Shifted) VariableAt(addr heap.Addr) (name string, at heap.Span, ok bool) {
	name, at, ok = s.Table.VariableAt(addr - s.bias)
	if !ok {
		return "", heap.Span{}, false
	}
	return name, s.span(at), true
}

func (s *Shifted) span(at heap.Span) heap.Span {
	return heap.Span{Start: at.Start + s.bias, End: at.End + s.bias}
}

// Data is Table.Data with addresses in memory.
func (s *Shifted) Data() []heap.Section {
	all := s.Table.Data()
	for i := range all {
		all[i].Span = s.span(all[i].Span)
	}
	slices.SortStableFunc(all, func(a, b heap.Section) int { return cmp.Compare(a.Start, b.Start) })
	return all
}

// Mappings is Table.Mappings with addresses in memory.
func (s *Shifted) Mappings() []heap.Mapping {
	all := s.Table.Mappings()
	for i := range all {
		all[i].Start, all[i].Limit = all[i].Start+s.bias, all[i].Limit+s.bias
	}
	return all
}
