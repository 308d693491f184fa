package fastlist

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// reader reads one page of a list of namespaces in protobuf. It is for one goroutine.
type reader struct {
	// item is the room for the namespace that is being read.
	item []byte
	// labels is the room for its labels.
	labels map[string]string
}

// usualLabels is for how many labels a reader keeps room from one namespace to the next.
const usualLabels = 1024

// Errors of what is no list, or no whole one: a namespace that is missing in it would not be judged.
var (
	errNoListMeta = errors.New("the list does not begin with the resourceVersion that it is of")
	errNoName     = errors.New("a namespace has no name")
)

// read reads the page. It calls begin for the list's own metadata, of which it reads the resourceVersion and where the next
// page begins, and each for every namespace. The API server sends them in this order.
func (r *reader) read(page io.Reader, begin func(metav1.ListMeta), each func(*metav1.ObjectMeta)) error {
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
			return r.namespace(content, each)
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
func (r *reader) content(value *io.LimitedReader) ([]byte, error) {
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

// namespace reads a Namespace and calls each with its metadata.
func (r *reader) namespace(content []byte, each func(*metav1.ObjectMeta)) error {
	if r.labels == nil || len(r.labels) > usualLabels {
		r.labels = map[string]string{}
	}
	clear(r.labels)
	var meta metav1.ObjectMeta
	err := eachValue(content, func(number fieldNumber, value []byte) error {
		if number != itemMetadata {
			return nil
		}
		return eachValue(value, func(number fieldNumber, value []byte) error { return r.metadata(&meta, number, value) })
	})
	if err == nil && meta.Name == "" {
		err = errNoName
	}
	if err == nil {
		each(&meta)
	}
	return err
}

// metadata reads one field of the metadata.
func (r *reader) metadata(meta *metav1.ObjectMeta, number fieldNumber, value []byte) error {
	switch number {
	case metaName:
		meta.Name = string(value)
	case metaDeletion:
		meta.DeletionTimestamp = &metav1.Time{}
		return meta.DeletionTimestamp.Unmarshal(value)
	case metaLabels:
		meta.Labels = r.labels
		return readLabel(value, r.labels)
	}
	return nil
}

// readLabel reads one entry of the labels.
func readLabel(entry []byte, labels map[string]string) error {
	var key, value string
	err := eachValue(entry, func(number fieldNumber, text []byte) error {
		switch number {
		case entryKey:
			key = string(text)
		case entryValue:
			value = string(text)
		}
		return nil
	})
	labels[key] = value
	return err
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
