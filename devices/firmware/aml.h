#pragma once
// ACPI machine language as byte strings that compose (ACPI 6.4 chapter 20; resource descriptors
// section 6.4). Each function returns the encoding of one term; concatenation makes term lists.
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace hvsim::devices::firmware::aml {

using Aml = std::vector<std::uint8_t>;

Aml concat(std::initializer_list<Aml> parts);

/// A name: segments of at most four of A-Z 0-9 _, separated by dots, optionally after '\' or '^'s.
/// Anything else is a model bug.
Aml name_string(std::string_view path);
/// Shortest encoding of an integer (20.2.3).
Aml integer(std::uint64_t value);
/// Printable ASCII.
Aml string(std::string_view text);
/// True: `id` has the form of an EISA id, three capitals and four hexadecimal digits.
bool is_eisa_id(std::string_view id) noexcept;
/// Compressed EISA id (19.6.37) as an integer.
Aml eisa_id(std::string_view id);
Aml buffer(const Aml& bytes);
/// At most 255 elements, each one an encoded data object.
Aml package(const std::vector<Aml>& elements);
Aml named(std::string_view name, const Aml& value);
Aml scope(std::string_view path, const Aml& terms);
Aml device(std::string_view name, const Aml& terms);
Aml method(std::string_view name, unsigned arguments, bool serialized, const Aml& terms);
Aml return_value(const Aml& value);

/// Who uses an address window: the device itself, or its children (6.4.3.5).
enum class WindowUse : std::uint8_t { producer = 0, consumer = 1 };

// Resource descriptors (6.4.2, 6.4.3); resource_template() adds the end tag and wraps a buffer.
Aml resource_template(const Aml& descriptors);
/// Read-write memory at [base, base + length), length > 0, cacheable, minimum and maximum fixed.
Aml qword_memory(std::uint64_t base, std::uint64_t length, WindowUse use);
Aml memory32_fixed(std::uint32_t base, std::uint32_t length);
/// Ports [base, base + length), 16-bit decode.
Aml io_ports(std::uint16_t base, std::uint8_t length);
/// Edge, active high, exclusive: an ISA interrupt.
Aml isa_irq(unsigned irq);

}  // namespace hvsim::devices::firmware::aml
