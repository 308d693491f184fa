package cluster

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfence/meshfence/webhook/mesh"
)

// fieldNumber is that of a field of a message. (protowire has a type for it, with constants that no switch here is about.)
type fieldNumber = int32

// The fields that are read of a list of namespaces in protobuf, by number (generated.proto of k8s.io/apimachinery/pkg/runtime,
// k8s.io/apimachinery/pkg/apis/meta/v1 and k8s.io/api/core/v1). Numbers never get another meaning.
const (
	protobufMagic = "k8s\x00"

	envelopeRaw fieldNumber = 2 // Unknown

	listMeta  fieldNumber = 1 // NamespaceList
	listItems fieldNumber = 2

	listMetaResourceVersion fieldNumber = 2 // ListMeta
	listMetaContinue        fieldNumber = 3

	itemMetadata fieldNumber = 1 // Namespace

	metaName     fieldNumber = 1 // ObjectMeta
	metaDeletion fieldNumber = 9
	metaLabels   fieldNumber = 11

	entryKey   fieldNumber = 1 // an entry of a map
	entryValue fieldNumber = 2
)

const (
	// wireBuffer is how much is read at once.
	wireBuffer = 32 << 10
	// maxItem is more than any object that an API server stores: it takes requests of up to 3 MiB, and etcd of up to 1.5 MiB.
	maxItem = 8 << 20
)

// namespaceReader reads lists of namespaces in protobuf. A general decoder would make everything that a namespace has, of
// which a fifth is kept, and all label keys and values anew for each. It is for one goroutine, and for one list.
type namespaceReader struct {
	item   []byte
	labels []label
	texts  *texts
	// wanted are the keys of the labels that are kept of a namespace that has very many.
	wanted *wantedKeys
}

// label is a label as it stands in the item.
type label struct{ key, value []byte }

// usualLabels is for how many labels a reader keeps room from one namespace to the next.
const usualLabels = 1024

func newNamespaceReader(repeated *texts, wanting *wanting) *namespaceReader {
	return &namespaceReader{texts: repeated, wanted: wanting.current()}
}

// Errors of what is no list, or no whole one: a namespace that is not seen would be one that nobody judges.
var (
	errNoListMeta = errors.New("the list does not begin with the resourceVersion that it is of")
	errNoName     = errors.New("a namespace has no name")
)

// read reads one page. It calls begin for the list's own metadata, of which it reads the resourceVersion and where the next
// page begins, and each for every namespace. The API server sends them in this order.
func (r *namespaceReader) read(page io.Reader, begin func(metav1.ListMeta), each func(mesh.Namespace)) error {
	magic := make([]byte, len(protobufMagic))
	if _, err := io.ReadFull(page, magic); err != nil || string(magic) != protobufMagic {
		return fmt.Errorf("not in protobuf: it begins with %q", magic)
	}
	whole, begun := false, false
	err := eachField(page, func(number fieldNumber, list *io.LimitedReader) error {
		if number != envelopeRaw {
			return nil
		}
		whole = true
		return eachField(list, func(number fieldNumber, value *io.LimitedReader) error {
			if number != listMeta && number != listItems {
				return nil
			}
			content, err := r.content(value)
			if err != nil {
				return err
			}
			if begun != (number == listItems) {
				return errNoListMeta
			}
			if begun = true; number == listMeta {
				return readListMeta(content, begin)
			}
			ns, err := r.namespace(content)
			if err == nil && ns.Name == "" {
				err = errNoName
			}
			if err == nil {
				each(ns)
			}
			return err
		})
	})
	switch {
	case err == nil && !whole:
		return io.ErrUnexpectedEOF
	case err == nil && !begun:
		return errNoListMeta
	}
	return err
}

// content returns all of a value. It is valid until the next call.
func (r *namespaceReader) content(value *io.LimitedReader) ([]byte, error) {
	if value.N > maxItem {
		return nil, fmt.Errorf("an object of %d bytes", value.N)
	}
	if int64(cap(r.item)) < value.N {
		r.item = make([]byte, value.N)
	}
	content := r.item[:value.N]
	_, err := io.ReadFull(value, content)
	return content, notTheEnd(err)
}

func readListMeta(content []byte, begin func(metav1.ListMeta)) error {
	var meta metav1.ListMeta
	err := eachValue(content, func(number fieldNumber, value []byte) error {
		switch number {
		case listMetaResourceVersion:
			meta.ResourceVersion = string(value)
		case listMetaContinue:
			meta.Continue = string(value)
		}
		return nil
	})
	if err == nil && meta.ResourceVersion == "" {
		err = errNoListMeta
	}
	if err == nil {
		begin(meta)
	}
	return err
}

// namespace reads a Namespace; the result is what the function namespace makes of one that was decoded.
func (r *namespaceReader) namespace(content []byte) (mesh.Namespace, error) {
	var ns mesh.Namespace
	r.labels = r.labels[:0]
	size := 0
	err := eachValue(content, func(number fieldNumber, metadata []byte) error {
		if number != itemMetadata {
			return nil
		}
		return eachValue(metadata, func(number fieldNumber, value []byte) error {
			switch number {
			case metaName:
				ns.Name = string(value)
			case metaDeletion:
				ns.Deleting = true
			case metaLabels:
				l, err := readLabel(value)
				size += labelSize(len(l.key), len(l.value))
				r.labels = append(r.labels, l)
				return err
			}
			return nil
		})
	})
	if err != nil || len(r.labels) == 0 {
		return ns, err
	}
	if size > maxLabels {
		ns.Reduced = r.wanted.number
		r.labels = slices.DeleteFunc(r.labels, func(l label) bool { return !r.wanted.keys[string(l.key)] })
	}
	ns.Labels = r.keep(ns.Name)
	if cap(r.labels) > usualLabels {
		r.labels = nil
	}
	return ns, nil
}

// keep makes the map of the labels of the namespace of this name.
func (r *namespaceReader) keep(name string) map[string]string {
	r.texts.mu.Lock()
	defer r.texts.mu.Unlock()
	kept := make(map[string]string, len(r.labels))
	for _, l := range r.labels {
		value := name
		if string(l.value) != name { // that of one label is the name
			value = r.texts.lockedOf(l.value)
		}
		kept[r.texts.lockedOf(l.key)] = value
	}
	return kept
}

// readLabel reads one entry of the labels.
func readLabel(entry []byte) (l label, err error) {
	err = eachValue(entry, func(number fieldNumber, value []byte) error {
		switch number {
		case entryKey:
			l.key = value
		case entryValue:
			l.value = value
		}
		return nil
	})
	return l, err
}

// eachField calls field for each field of a message, up to its end. What field does not read of the value is passed over.
func eachField(message io.Reader, field func(number fieldNumber, value *io.LimitedReader) error) error {
	r := bufio.NewReaderSize(message, wireBuffer)
	for {
		tag, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		parsed, kind := protowire.DecodeTag(tag)
		number := fieldNumber(parsed)
		size, err := sizeOf(r, kind)
		if err != nil {
			return fmt.Errorf("field %d: %w", number, notTheEnd(err))
		}
		if kind != protowire.BytesType { // a number, of a later version: none is read
			if _, err := r.Discard(size); err != nil {
				return notTheEnd(err)
			}
			continue
		}
		value := &io.LimitedReader{R: r, N: int64(size)}
		if err := field(number, value); err != nil {
			return err
		}
		if _, err := r.Discard(int(value.N)); err != nil {
			return notTheEnd(err)
		}
	}
}

// sizeOf reads how many bytes the value of a field has that follows; that of a varint is read by that.
func sizeOf(r *bufio.Reader, kind protowire.Type) (int, error) {
	switch kind {
	case protowire.VarintType:
		_, err := binary.ReadUvarint(r)
		return 0, err
	case protowire.Fixed32Type:
		return 4, nil
	case protowire.Fixed64Type:
		return 8, nil
	case protowire.BytesType:
		size, err := binary.ReadUvarint(r)
		if err == nil && size > math.MaxInt32 {
			err = fmt.Errorf("it has %d bytes", size)
		}
		return int(min(size, math.MaxInt32)), err
	default:
		return 0, fmt.Errorf("the wire type %d", kind)
	}
}

// notTheEnd returns the error of a reader from which more was to come.
func notTheEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// eachValue calls field for each field of a message that has a length; others are passed over.
func eachValue(message []byte, field func(number fieldNumber, value []byte) error) error {
	for len(message) > 0 {
		number, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		size := protowire.ConsumeFieldValue(number, kind, message[tag:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[tag:])
			if err := field(fieldNumber(number), value); err != nil {
				return err
			}
		}
		message = message[tag+size:]
	}
	return nil
}
