package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// Format is a kind of file.
type Format string

// The kinds of files. Whatever is none of the others counts as Raw.
const (
	Raw      Format = "raw"
	ELFCore  Format = "ELF core"
	IntelHex Format = "Intel HEX"
	SRecords Format = "S-records"
	Gzip     Format = "gzip"
	// Foreign is certainly something else than memory: Open says what.
	Foreign Format = "foreign"
)

// article returns the format with its article, for sentences.
func (f Format) article() string {
	switch f {
	case ELFCore:
		return "an ELF core"
	case IntelHex:
		return "an Intel HEX file"
	case SRecords:
		return "a file of S-records"
	}
	return "a " + string(f) + " file"
}

// headSize is how much of a file Recognise looks at, in bytes.
const headSize = 4096

// Recognise tells the format of a file from its beginning, of which 4 KiB are
// enough. Text that holds no records is Raw, as is everything else of which
// nothing is known.
func Recognise(head []byte) Format {
	head = head[:min(len(head), headSize)]
	if bytes.HasPrefix(head, []byte("\x1f\x8b\x08")) {
		return Gzip
	}
	if foreign(head) != nil {
		return Foreign
	}
	if bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return ELFCore
	}
	return recogniseText(head)
}

// recogniseText looks for the first record in head. Transcripts may have other
// text in front; but all must be text, for in memory bytes that look like a
// record can be anywhere.
func recogniseText(head []byte) Format {
	head = trimMark(head)
	for _, c := range head {
		if (c < ' ' || c > '~') && c != '\t' && c != '\r' && c != '\n' && c != 0x1a {
			return Raw
		}
	}
	for l := (lines{rest: head}); l.next(); {
		switch {
		case isIntelHex(l.line):
			return IntelHex
		case isSRecord(l.line):
			return SRecords
		}
	}
	return Raw
}

// signatures are the beginnings of files that hold memory in a form that has to
// be changed first. Raw memory beginning like that can be read with Options.Raw.
var signatures = []struct{ magic, what string }{
	{"\x28\xb5\x2f\xfd", "packed with zstd: unpack it first"},
	{"\xfd7zXZ\x00", "packed with xz: unpack it first"},
	{"BZh", "packed with bzip2: unpack it first"},
	{"\x04\x22\x4d\x18", "packed with lz4: unpack it first"},
	{"PK\x03\x04", "a zip archive: unpack it first"},
	{"KDUMP   ", "a compressed kdump file: convert it to an ELF core with makedumpfile -E"},
	{"MDMP", "a minidump, which is not supported: convert it to an ELF core"},
}

// foreign returns the reason for which a file that begins with head is refused,
// nil if it is not.
func foreign(head []byte) error {
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.magic)) && (s.magic != "BZh" || isBzip2(head)) {
			return errors.New(s.what)
		}
	}
	if len(head) < 18 || string(head[:4]) != elf.ELFMAG {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		order = binary.BigEndian
	}
	if t := elf.Type(order.Uint16(head[16:])); t != elf.ET_CORE {
		return fmt.Errorf("an ELF file, but no core (%v): its memory is what the linker wrote, not what the program left", t)
	}
	return nil
}

// isBzip2 looks at more than three letters: level and magic of the first block.
func isBzip2(head []byte) bool {
	return len(head) >= 10 && head[3] >= '1' && head[3] <= '9' && string(head[4:10]) == "1AY&SY"
}
