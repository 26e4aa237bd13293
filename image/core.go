package image

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/heapwright/heapwright/heap"
)

// readCore reads an ELF core file: the segments of type PT_LOAD as far as they
// are in the file, and what notes tell of threads and mapped files.
//
// Memory whose contents the system did not dump (p_filesz < p_memsz) is not in
// the image.
//
// Formats: System V ABI, chapters 4 and 5; Linux's fs/binfmt_elf.c and
// include/uapi/linux/elfcore.h for notes; QEMU's dump/dump.c, which leaves
// virtual addresses 0.
func readCore(name string, b []byte) (*part, error) {
	h, err := readHeader(b)
	if err != nil {
		return nil, fmt.Errorf("damaged ELF core: %w", err)
	}
	p := &part{file: b, order: h.order, machine: h.machine, pointer: 4}
	end := uint64(1) << 32
	if h.wide {
		p.pointer, end = 8, math.MaxUint64
	}
	programs := h.programs(b)
	if n := uint64(len(programs)); n < h.count {
		p.partial = append(p.partial, fmt.Sprintf("the file is cut or damaged: %d of %d program headers are missing", h.count-n, h.count))
	}

	notes := noteReader{cursor: cursor{order: h.order, wide: h.wide}, machine: h.machine, part: p, room: maxNotes}
	for _, ph := range programs {
		if ph.kind == elf.PT_NOTE {
			notes.read(clip(b, ph.offset, ph.fileSize), ph.fileSize)
		}
	}
	notes.finish()

	physical := onlyPhysical(programs)
	if physical {
		p.notes = append(p.notes, "the core has no virtual addresses: these are physical ones")
	}
	var lost, undumped, claimed, outside, shared uint64 // bytes, saturated where only claimed
	room := mostOften * uint64(len(b))
	for _, ph := range programs {
		if ph.kind != elf.PT_LOAD {
			continue
		}
		addr := ph.virtual
		if physical {
			addr = ph.physical
		}
		claimed = saturated(claimed, ph.fileSize)
		if ph.memSize > ph.fileSize {
			undumped = saturated(undumped, ph.memSize-ph.fileSize)
		}
		there := clip(b, ph.offset, ph.fileSize)
		lost = saturated(lost, ph.fileSize-uint64(len(there)))
		if n := uint64(len(there)); n > room {
			shared += n - room
			there = there[:room]
		}
		room -= uint64(len(there))
		if room := end - min(addr, end); uint64(len(there)) > room {
			outside += uint64(len(there)) - room
			there = there[:room]
		}
		s := Segment{Addr: heap.Addr(addr), Bytes: there, Name: name, Writable: ph.flags&elf.PF_W != 0, offset: int(min(ph.offset, uint64(len(b))))}
		if file := notes.fileAt(s.Addr); file != "" {
			s.Name = file
		}
		p.pieces = append(p.pieces, s)
	}
	if lost > 0 {
		p.partial = append(p.partial, fmt.Sprintf("the file is cut or damaged: %d of %d bytes of memory are missing", lost, claimed))
	}
	if shared > 0 {
		p.partial = append(p.partial, fmt.Sprintf("program headers name the same bytes of the file more than %d times over: %d bytes of memory were left out", mostOften, shared))
	}
	if outside > 0 {
		p.partial = append(p.partial, fmt.Sprintf("%d bytes of memory lie beyond the address space and were left out", outside))
	}
	if undumped > 0 {
		p.notes = append(p.notes, fmt.Sprintf("the program had %d more bytes of memory, which were not dumped", undumped))
	}
	return p, nil
}

// mostOften is how many times as much memory as the file has bytes a core may
// hold, by several segments with the same contents.
const mostOften = 4

// saturated adds, and stays at the largest number.
func saturated(a, b uint64) uint64 {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}

// clip returns what of [off, off+n) is in b.
func clip(b []byte, off, n uint64) []byte {
	off = min(off, uint64(len(b)))
	return b[off : off+min(n, uint64(len(b))-off)]
}

// header is what counts of an ELF header.
type header struct {
	order     binary.ByteOrder
	wide      bool // ELFCLASS64
	machine   elf.Machine
	table     uint64 // offset of the program headers
	entrySize uint64 // of one of them
	count     uint64
}

// program is a program header.
type program struct {
	kind              elf.ProgType
	flags             elf.ProgFlag
	offset            uint64
	virtual, physical uint64
	fileSize, memSize uint64
}

var errCut = errors.New("it ends in the header")

func readHeader(b []byte) (h header, err error) {
	if len(b) < elf.EI_NIDENT {
		return h, errCut
	}
	switch class := elf.Class(b[elf.EI_CLASS]); class {
	case elf.ELFCLASS32:
	case elf.ELFCLASS64:
		h.wide = true
	default:
		return h, fmt.Errorf("%v", class)
	}
	switch data := elf.Data(b[elf.EI_DATA]); data {
	case elf.ELFDATA2LSB:
		h.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		h.order = binary.BigEndian
	default:
		return h, fmt.Errorf("%v", data)
	}
	c := cursor{rest: b[elf.EI_NIDENT:], order: h.order, wide: h.wide}
	c.u16() // type
	h.machine = elf.Machine(c.u16())
	c.u32()  // version
	c.word() // entry
	h.table = c.word()
	sections := c.word()
	c.u32() // flags
	c.u16() // size of this header
	h.entrySize = uint64(c.u16())
	h.count = uint64(c.u16())
	if c.short {
		return h, errCut
	}
	size := uint64(binary.Size(elf.Prog32{}))
	if h.wide {
		size = uint64(binary.Size(elf.Prog64{}))
	}
	if h.entrySize < size {
		return h, fmt.Errorf("program headers of %d bytes", h.entrySize)
	}
	const more = 0xffff // PN_XNUM: the number is in sh_info of the first section header
	if h.count == more && sections != 0 {
		at := uint64(28)
		if h.wide {
			at = 44
		}
		c.rest = clip(b, saturated(sections, at), 4)
		if n := c.u32(); !c.short {
			h.count = uint64(n)
		}
	}
	return h, nil
}

// programs returns those program headers that are in b.
func (h *header) programs(b []byte) []program {
	table := clip(b, h.table, math.MaxUint64)
	n := min(h.count, uint64(len(table))/h.entrySize)
	all := make([]program, n)
	for i := range all {
		c := cursor{rest: table[uint64(i)*h.entrySize:], order: h.order, wide: h.wide}
		p := &all[i]
		p.kind = elf.ProgType(c.u32())
		if h.wide {
			p.flags = elf.ProgFlag(c.u32())
		}
		p.offset, p.virtual, p.physical, p.fileSize, p.memSize = c.word(), c.word(), c.word(), c.word(), c.word()
		if !h.wide {
			p.flags = elf.ProgFlag(c.u32())
		}
	}
	return all
}

// onlyPhysical reports whether virtual addresses are missing: all are 0, and
// physical ones are not.
func onlyPhysical(programs []program) bool {
	found := false
	for _, p := range programs {
		if p.kind == elf.PT_LOAD {
			if p.virtual != 0 {
				return false
			}
			found = found || p.physical != 0
		}
	}
	return found
}

// cursor reads numbers from the beginning of rest. Behind the end it reads
// zeroes and sets short.
type cursor struct {
	rest  []byte
	order binary.ByteOrder
	wide  bool // word has 8 bytes
	short bool
}

// take returns the next n bytes, nil and nothing if there are fewer.
func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.rest, c.short = nil, true
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) u16() uint16 {
	if b := c.take(2); b != nil {
		return c.order.Uint16(b)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if b := c.take(4); b != nil {
		return c.order.Uint32(b)
	}
	return 0
}

// word reads an address or what is as long as one.
func (c *cursor) word() uint64 {
	if !c.wide {
		return uint64(c.u32())
	}
	if b := c.take(8); b != nil {
		return c.order.Uint64(b)
	}
	return 0
}
