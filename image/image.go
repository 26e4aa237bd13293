// Package image reads what a device or process left of its memory (raw dumps,
// ELF cores, Intel HEX, S-records, any of them packed with gzip) as memory by
// address.
//
// # What comes out
//
// An Image tells two things apart. Segments are the pieces that the file has,
// each with its name and whether the program could write to it. Spans are the
// memory itself: adjacent segments in one piece, so that whoever looks for a
// structure need not care that a pool begins in the last page of a file's data
// and goes on in anonymous memory. View works on spans.
//
//	segments   |.data, writable |[heap], writable|        |stack, writable|
//	spans      |---------------------------------|        |---------------|
//
// Segments that are adjacent in memory but not in the file are copied into one
// piece while they are small. Where large ones meet, View still sees what lies
// within 64 KiB of the border.
//
// What only needs to look at memory, such as the layouts of allocators, asks for
// no more than heap.RAM, which *Image implements.
//
// # What is trusted
//
// Nothing. Sizes, addresses and counts of a file are claims; what is not there
// is missing from the image and Partial says so, and what a file says twice
// is taken from where it is said first and Notes say so. Of a file that is
// neither packed nor text the bytes are mapped, not read, so opening takes no
// time and no memory. Packed files and text are read into at most
// Options.MaxBytes.
//
// # Files that change
//
// A mapped file must not be made shorter while its image is open: reading what
// is no longer there is a memory fault, which ends the program. Work that must
// survive that runs under Image.Guard; Options.Copy avoids it.
package image

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// An Image is memory by address. Its methods may be called concurrently as
// long as none of them is Rebase or Close.
type Image struct {
	formats  []string
	segments []Segment
	spans    []heap.Memory // in ascending order, disjoint
	borders  []heap.Memory // copies of both sides of where two spans meet
	order    binary.ByteOrder
	machine  elf.Machine
	pointer  int
	threads  []Thread
	mappings []heap.Mapping
	partial  []string
	notes    []string
	raw      bool // one raw file, which may be rebased
	based    bool
	contents []content
	file     []byte // of one file whose bytes are memory as it is; else nil
}

// Segment is a piece of memory as the file has it.
type Segment struct {
	Addr heap.Addr
	// Bytes must not be written to. They are gone after Image.Close.
	Bytes []byte
	// Name is the file that was mapped there, where a core tells, else the
	// dump itself.
	Name string
	// Writable says whether the program could write there; true where the
	// file does not tell.
	Writable bool

	offset int // in the unpacked file, of those whose bytes are memory as it is
}

// limit returns the address behind s, which loaders see to it is one.
func (s *Segment) limit() heap.Addr { return s.Addr + heap.Addr(len(s.Bytes)) }

// Thread is what a core tells of a thread, task or processor.
type Thread struct {
	ID     int // as the system that wrote the core counts them
	SP, PC heap.Addr
	// Regs are the general registers in the order of the system's register
	// set (elf_gregset_t), SP and PC among them; 32-bit ones zero-extended.
	Regs []uint64
}

// View returns the n bytes at addr, nil unless all of them are in the image.
// For n = 0 it returns nil unless there is a byte at addr. Across the border of
// two spans it sees borderReach bytes on either side. What it returns must not
// be written to and is valid until Close. It does not allocate.
func (m *Image) View(addr heap.Addr, n uint64) []byte {
	if b := view(m.spans, addr, n); b != nil || len(m.borders) == 0 {
		return b
	}
	return view(m.borders, addr, n)
}

// view looks in spans, which are in ascending order of address.
func view(spans []heap.Memory, addr heap.Addr, n uint64) []byte {
	lo, hi := 0, len(spans)
	for lo < hi { // the number of spans that begin at or below addr
		mid := int(uint(lo+hi) >> 1)
		if spans[mid].Addr <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return nil
	}
	s := &spans[lo-1]
	off, size := uint64(addr-s.Addr), uint64(len(s.Bytes))
	if off >= size || n > size-off {
		return nil
	}
	return s.Bytes[off : off+n : off+n]
}

// Spans returns the memory in pieces as large as they come, in ascending order
// of address. Neither the slice nor the bytes may be written to.
func (m *Image) Spans() []heap.Memory { return m.spans }

// Segments returns the pieces that the files have, in ascending order of
// address and disjoint. The slice must not be written to.
func (m *Image) Segments() []Segment { return m.segments }

// Segment returns the segment that addr lies in, nil if there is none.
func (m *Image) Segment(addr heap.Addr) *Segment {
	i := sort.Search(len(m.segments), func(i int) bool { return m.segments[i].Addr > addr }) - 1
	if i < 0 || addr >= m.segments[i].limit() {
		return nil
	}
	return &m.segments[i]
}

// Size returns the number of bytes in the image.
func (m *Image) Size() (n uint64) {
	for i := range m.spans {
		n += uint64(len(m.spans[i].Bytes))
	}
	return n
}

// Format says what was read, "raw" or "ELF core, gzip"; several files are
// separated by semicolons, equal ones named once.
func (m *Image) Format() string { return strings.Join(m.formats, "; ") }

// Order returns the byte order of words, nil if the file does not tell.
func (m *Image) Order() binary.ByteOrder { return m.order }

// Machine returns the kind of processor, EM_NONE if the file does not tell.
func (m *Image) Machine() elf.Machine { return m.machine }

// PointerSize returns the size of a pointer in bytes, 4 or 8, or 0 if the file
// does not tell.
func (m *Image) PointerSize() int { return m.pointer }

// Registers returns the threads that a core tells of, in its order: in cores of
// Linux the one that crashed comes first.
func (m *Image) Registers() []Thread { return m.threads }

// Mappings returns the files that were mapped, in ascending order of address,
// as far as a core tells.
func (m *Image) Mappings() []heap.Mapping { return m.mappings }

// Partial is empty if the image holds all that its files claim to hold;
// otherwise it says what is missing and why.
func (m *Image) Partial() string { return strings.Join(m.partial, "; ") }

// Notes says, a sentence each, what was remarkable about the files though
// nothing of them is missing: memory that they have twice, addresses that had
// to be chosen.
func (m *Image) Notes() []string { return slices.Clone(m.notes) }

// Based reports whether addresses are known. If not, the image is one raw file
// whose first byte has address 0, so that addresses are offsets in the file.
func (m *Image) Based() bool { return m.based }

// Rebase moves a raw file so that its first byte has address base. Other images
// have addresses of their own, and it fails.
func (m *Image) Rebase(base heap.Addr) error {
	if !m.raw {
		return errors.New("the image has addresses of its own")
	}
	if err := fits(base, len(m.segments[0].Bytes)); err != nil {
		return err
	}
	m.segments[0].Addr, m.spans[0].Addr, m.based = base, base, true
	return nil
}

// fits refuses what would reach beyond the address space. Its very last byte
// counts as beyond, so that the address behind a segment always exists.
func fits(base heap.Addr, n int) error {
	if base+heap.Addr(n) < base {
		return fmt.Errorf("%d bytes at %s reach beyond the address space", n, base)
	}
	return nil
}

// Close gives back what Open has taken. The bytes of segments, spans and views
// must not be used any more; the image is empty. Closing again does nothing.
func (m *Image) Close() error {
	var err error
	for _, c := range m.contents {
		err = errors.Join(err, c.close())
	}
	m.contents, m.segments, m.spans, m.borders, m.file, m.raw = nil, nil, nil, nil, nil, false
	return err
}
