package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/internal/firmware"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/kconfig"
)

func newConfigExplain() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "explain FILE",
		Short: "Say what a device's configuration means for its heap",
		Long: `Say what a device's configuration means for whoever looks for a fault in its heap:
which features the firmware has, what memused and memcheck can show, what each
feature costs a node, and what to switch on to find the fault at hand.

Exit codes: 0 explained, 2 wrong usage, an unreadable file, or one that is not of
LiteOS. Of the allocator bestfit_little it says what to choose in its place.`,
		Example: `  heapwright config explain device.config
  heapwright config explain device.config --format json`,
		Args: args(1, 1, "one FILE, the .config of the firmware"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if format != "text" && format != "json" {
				return usageError(cmd, fmt.Errorf("--format is text or json, not %q", format))
			}
			f, err := os.Open(given[0])
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no file %s: give the .config of the firmware's build", given[0])
			}
			if err != nil {
				return err
			}
			defer f.Close()
			c, err := kconfig.ReadConfig(f)
			if err != nil {
				return fmt.Errorf("%s: %w", given[0], err)
			}
			r := firmware.Explain(c)
			if err := explainFirmware(cmd.OutOrStdout(), r, format == "json"); err != nil || r.LiteOS {
				return err
			}
			return exitError{code: exitInput}
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of the output: text or json")
	return cmd
}

func explainFirmware(w io.Writer, r *firmware.Report, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	width, _ := terminal(w)
	if width == 0 {
		width = 80
	}
	var b strings.Builder
	item := func(head, text string, column int) {
		head = fmt.Sprintf("%-*s", column, head)
		fmt.Fprintln(&b, head+plain.Wrap(plain.Clean(text), width, column, column))
	}
	for _, d := range r.Doubts {
		item("note:", d, 6)
	}
	if r.Known {
		item("Heap:", r.Layout, 6)
		fmt.Fprintf(&b, "Each node costs %d bytes besides what was asked for.\n\nFeatures, and what they add to a node:\n", r.HeadBytes)
		for _, f := range r.Features {
			state := "off"
			if f.On {
				state = "ON"
			}
			fmt.Fprintf(&b, "  %-3s  %3d bytes  %s\n", state, f.NodeBytes, f.Symbol)
			text := f.Gives
			if f.Cost != "" {
				text += ". Costs " + f.Cost
			}
			item("", text, 18)
		}
		b.WriteString("\nThe device's shell:\n")
		for _, c := range r.Commands {
			item("  "+c.Name, c.Shows, 12)
		}
		b.WriteString("\nheapwright, of a dump of its RAM:\n")
		for _, c := range r.Dump {
			item("  "+c.Name, c.Shows, 12)
		}
	}
	if r.LiteOS {
		b.WriteString("\nTo find out why\n")
		for _, a := range r.Advice {
			item("- ", a.Fault+":", 2)
			if len(a.Set) > 0 {
				item("    set", strings.Join(a.Set, ", "), 9)
			}
			item("    do", a.Do, 9)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
