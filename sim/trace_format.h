#pragma once
// The trace file, version 3. All integers little endian; "varint" is LEB128, "zigzag" a varint of a
// signed value folded so that small magnitudes are short; a string is its varint length and bytes.
//
//   file    = header block* [result] [index]
//   header  = "HVSIMTRC" u32(version) u32(size of body) body u64(XXH64 of body)
//   body    = string(scenario) string(program version) zigzag(start date, seconds since 1970)
//             varint(kinds) { string(name) u8(level, bit 7: with code) 4 x string(argument) }
//             varint(tables) { u8(kind) u8(argument) varint(values) { varint(value) string } }
//             varint(settings) { string } varint(inputs) { string(role) string(file) string(sha256)
//             }
//   block   = "BLK1" u32(compressed size) u32(events) u64(least time) u64(greatest time) zstd frame
//   result  = "RSLT" u32(compressed size) u32(size) zstd frame of the run's report as JSON
//             (docs/report.md)
//   index   = "INDX" varint(blocks) { varint(offset) varint(events) varint(least) varint(greatest)
//   }
//             u64(offset of "INDX") "HVSIMEND"
//
// A block is decoded by itself. Its frame holds events and, before the events that they belong to,
// code bytes. An event with code has that which the block gave last for the value of its argument
// "rip"; given none, or of size 0, it has none.
//
//   code    = 0x7f zigzag(RIP - RIP of the code before)
//             u8(size, bits 5:4: 0 = 16, 1 = 32, 2 = 64 bits) bytes
//   event   = u8(kind, bit 7: same subject as the event before) [subject]
//             u8(two bits an argument) zigzag(time - time of the event before)
//             { nothing (0 = value 0; 1 = as in the kind's event before) |
//               zigzag(difference to that one) (2) | varint(value) (3) }
//   subject = varint(lp + 1) varint(partition + 1) varint(vp + 1), modulo 65536
//
// A file that ends early is read up to its end: blocks are found one after the other without the
// index, and the whole events of a cut frame are still given. The result is there when the run came
// to its end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/event.h"
#include "sim/run_input.h"
#include "sim/trace_names.h"

namespace hvsim::sim {

inline constexpr std::string_view kTraceMagic = "HVSIMTRC";
inline constexpr std::string_view kTraceEnd = "HVSIMEND";
inline constexpr std::string_view kTraceBlock = "BLK1";
inline constexpr std::string_view kTraceResult = "RSLT";
inline constexpr std::string_view kTraceIndex = "INDX";
inline constexpr std::uint32_t kTraceVersion = 3;
inline constexpr std::size_t kTraceHeaderFixed = 16;  ///< magic, version, size
inline constexpr std::size_t kTraceBlockFixed = 28;   ///< a block before its frame
inline constexpr std::size_t kTraceResultFixed = 12;  ///< the result before its frame
inline constexpr std::uint32_t kTraceResultMax = 64 << 20;
inline constexpr std::uint32_t kTraceBlockEvents = 65536;
inline constexpr std::size_t kTraceEventMax = 1 + 3 * 3 + 1 + 5 * 10;
inline constexpr std::uint8_t kTraceCodeTag = 0x7f;
inline constexpr std::size_t kTraceCodeMax = 1 + 10 + 1 + Code::kMost;
inline constexpr std::uint32_t kTraceBlockBytesMax =
    kTraceBlockEvents * (kTraceEventMax + kTraceCodeMax);

/// One row of a file's own event table.
struct TraceEventDescription {
    std::string name;
    EventLevel level = EventLevel::event;
    bool has_code = false;
    std::array<std::string, 4> arguments;
    bool operator==(const TraceEventDescription&) const = default;
};

/// This program's own event table.
std::vector<TraceEventDescription> describe_events();

/// What a trace file says of itself.
struct TraceInfo {
    std::string scenario;
    std::string program_version;
    std::int64_t start_date = 0;  ///< the machine's clock at time 0, seconds since 1970 (UTC)
    TraceNames names;
    std::vector<TraceEventDescription> events;  ///< by kind; the writer fills it by itself
    RunInputs inputs;                           ///< what the run was given
};

constexpr std::uint64_t zigzag(std::int64_t value) noexcept {
    return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t unzigzag(std::uint64_t value) noexcept {
    return static_cast<std::int64_t>(value >> 1 ^ (0 - (value & 1)));
}

/// Appends to `out`, which has room for 10 bytes; returns the new end.
inline std::uint8_t* put_varint(std::uint8_t* out, std::uint64_t value) noexcept {
    while (value >= 0x80) {
        *out++ = static_cast<std::uint8_t>(value | 0x80);
        value >>= 7;
    }
    *out++ = static_cast<std::uint8_t>(value);
    return out;
}

/// Takes pieces from the front of bytes; after the first piece that is not there `ok` stays false.
class ByteParser {
  public:
    explicit ByteParser(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    bool ok() const noexcept { return ok_; }
    /// The next byte, which stays; 0 where there is none.
    std::uint8_t peek() const noexcept { return left() > 0 ? bytes_[position_] : 0; }
    void fail() noexcept { ok_ = false; }
    std::size_t position() const noexcept { return position_; }
    std::size_t left() const noexcept { return bytes_.size() - position_; }

    std::uint8_t u8() noexcept { return static_cast<std::uint8_t>(fixed(1)); }
    std::uint32_t u32() noexcept { return static_cast<std::uint32_t>(fixed(4)); }
    std::uint64_t u64() noexcept { return fixed(8); }
    std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t byte = u8();
            if (!ok_) return 0;
            if (shift == 63 && byte > 1) break;
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        ok_ = false;
        return 0;
    }
    std::string_view string() noexcept {
        const std::uint64_t size = varint();
        return ok_ ? text(size) : std::string_view{};
    }
    std::string_view text(std::uint64_t size) noexcept {
        if (size > left()) ok_ = false;
        if (!ok_) return {};
        const auto* begin = reinterpret_cast<const char*>(bytes_.data() + position_);
        position_ += size;
        return {begin, static_cast<std::size_t>(size)};
    }

  private:
    std::uint64_t fixed(unsigned size) noexcept {
        if (size > left()) ok_ = false;
        if (!ok_) return 0;
        std::uint64_t value = 0;
        for (unsigned i = 0; i < size; ++i)
            value |= static_cast<std::uint64_t>(bytes_[position_ + i]) << 8 * i;
        position_ += size;
        return value;
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t position_ = 0;
    bool ok_ = true;
};

/// What an event's encoding refers back to; fresh at the start of a block.
struct TraceContext {
    Time time = 0;
    Subject subject;
    std::array<std::array<std::uint64_t, 4>, 128> arguments{};
    std::uint64_t code_rip = 0;
};

/// Appends an event to `out`, which has room for kTraceEventMax bytes; returns the new end.
std::uint8_t* encode_event(TraceContext& context, const Event& event, std::uint8_t* out) noexcept;
/// The next event of a block, or nothing when the bytes end before it does (the context is then
/// unchanged) or name a kind that is not below `kinds`.
std::optional<Event> decode_event(TraceContext& context, ByteParser& in,
                                  std::size_t kinds) noexcept;

/// Appends code bytes to `out`, which has room for kTraceCodeMax bytes; returns the new end.
std::uint8_t* encode_code(TraceContext& context, std::uint64_t rip, const Code& code,
                          std::uint8_t* out) noexcept;
/// Code bytes and their RIP, where the block goes on with such; nothing when the bytes end before
/// they do or are none that a writer writes (`in` is then not ok), or when an event comes first.
struct CodeAt {
    std::uint64_t rip = 0;
    Code code;
};
std::optional<CodeAt> decode_code(TraceContext& context, ByteParser& in) noexcept;

/// The header's bytes, checksum included.
std::vector<std::uint8_t> encode_header(const TraceInfo& info);
/// The reverse of the header's body; nothing when it is malformed.
std::optional<TraceInfo> decode_header_body(std::span<const std::uint8_t> body);

}  // namespace hvsim::sim
