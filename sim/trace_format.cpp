#include "sim/trace_format.h"

#include <xxhash.h>

#include <algorithm>

namespace hvsim::sim {
namespace {

constexpr std::uint8_t kSameSubject = 0x80;
static_assert(static_cast<std::size_t>(EventKind::kCount) <= kTraceCodeTag,
              "a kind shares its byte");
constexpr std::uint8_t kWithCode = 0x80;

enum ArgumentCode : std::uint8_t { kZero = 0, kSame = 1, kDifference = 2, kValue = 3 };

bool same(const Subject& a, const Subject& b) noexcept {
    return a.lp == b.lp && a.partition == b.partition && a.vp == b.vp;
}

std::uint8_t* put_unit(std::uint8_t* out, std::uint16_t unit) noexcept {
    return put_varint(out, static_cast<std::uint16_t>(unit + 1));  // "none" is the short 0
}

std::uint16_t take_unit(ByteParser& in) noexcept {
    return static_cast<std::uint16_t>(in.varint() - 1);
}

class HeaderBytes {
  public:
    void u8(std::uint8_t value) { bytes.push_back(value); }
    void fixed(std::uint64_t value, unsigned size) {
        for (unsigned i = 0; i < size; ++i) u8(static_cast<std::uint8_t>(value >> 8 * i));
    }
    void varint(std::uint64_t value) {
        std::uint8_t buffer[10];
        bytes.insert(bytes.end(), buffer, put_varint(buffer, value));
    }
    void text(std::string_view value) { bytes.insert(bytes.end(), value.begin(), value.end()); }
    void string(std::string_view value) {
        varint(value.size());
        text(value);
    }

    std::vector<std::uint8_t> bytes;
};

}  // namespace

std::vector<TraceEventDescription> describe_events() {
    std::vector<TraceEventDescription> events;
    for (const EventDescription& row : kEventTable) {
        TraceEventDescription& copy = events.emplace_back();
        copy.name = row.name;
        copy.level = row.level;
        copy.has_code = has_code(static_cast<EventKind>(&row - kEventTable.data()));
        for (std::size_t i = 0; i < 4; ++i) copy.arguments[i] = row.arguments[i];
    }
    return events;
}

std::uint8_t* encode_event(TraceContext& context, const Event& event, std::uint8_t* out) noexcept {
    const bool same_subject = same(event.subject, context.subject);
    *out++ = static_cast<std::uint8_t>(static_cast<std::uint8_t>(event.kind) |
                                       (same_subject ? kSameSubject : 0));
    if (!same_subject) {
        out = put_unit(out, event.subject.lp);
        out = put_unit(out, event.subject.partition);
        out = put_unit(out, event.subject.vp);
        context.subject = event.subject;
    }
    std::uint8_t* const codes = out++;
    *codes = 0;
    out = put_varint(out, zigzag(static_cast<std::int64_t>(event.time - context.time)));
    context.time = event.time;
    auto& last = context.arguments[static_cast<std::size_t>(event.kind)];
    for (unsigned i = 0; i < 4; ++i) {
        const std::uint64_t value = event.arguments[i];
        std::uint8_t code = kZero;
        if (value != 0) {
            const std::uint64_t difference = zigzag(static_cast<std::int64_t>(value - last[i]));
            code = difference == 0 ? kSame : difference < value ? kDifference : kValue;
            if (code != kSame) out = put_varint(out, code == kDifference ? difference : value);
        }
        *codes = static_cast<std::uint8_t>(*codes | code << 2 * i);
        last[i] = value;
    }
    return out;
}

std::optional<Event> decode_event(TraceContext& context, ByteParser& in,
                                  std::size_t kinds) noexcept {
    const std::uint8_t tag = in.u8();
    const std::size_t kind = tag & ~unsigned{kSameSubject};
    if (!in.ok() || kind >= kinds) return std::nullopt;
    Event event;
    event.kind = static_cast<EventKind>(kind);
    event.subject = context.subject;
    if ((tag & kSameSubject) == 0) {
        event.subject.lp = take_unit(in);
        event.subject.partition = take_unit(in);
        event.subject.vp = take_unit(in);
    }
    const std::uint8_t codes = in.u8();
    event.time = context.time + static_cast<std::uint64_t>(unzigzag(in.varint()));
    const auto& last = context.arguments[kind];
    for (unsigned i = 0; i < 4; ++i) {
        switch (codes >> 2 * i & 3) {
            case kZero:
                event.arguments[i] = 0;
                break;
            case kSame:
                event.arguments[i] = last[i];
                break;
            case kDifference:
                event.arguments[i] = last[i] + static_cast<std::uint64_t>(unzigzag(in.varint()));
                break;
            case kValue:
                event.arguments[i] = in.varint();
                break;
        }
    }
    if (!in.ok()) return std::nullopt;
    context.time = event.time;
    context.subject = event.subject;
    context.arguments[kind] = event.arguments;
    return event;
}

std::uint8_t* encode_code(TraceContext& context, std::uint64_t rip, const Code& code,
                          std::uint8_t* out) noexcept {
    *out++ = kTraceCodeTag;
    out = put_varint(out, zigzag(static_cast<std::int64_t>(rip - context.code_rip)));
    context.code_rip = rip;
    *out++ = static_cast<std::uint8_t>(code.size | code.bits >> 5 << 4);
    return std::copy_n(code.bytes.begin(), code.size, out);
}

std::optional<CodeAt> decode_code(TraceContext& context, ByteParser& in) noexcept {
    if (in.peek() != kTraceCodeTag) return std::nullopt;
    in.u8();
    CodeAt at;
    at.rip = context.code_rip + static_cast<std::uint64_t>(unzigzag(in.varint()));
    const std::uint8_t form = in.u8();
    if (form >> 4 > 2 || (form & 0xf) > Code::kMost) in.fail();
    at.code.bits = static_cast<std::uint8_t>(16 << (form >> 4));
    at.code.size = form & 0xf;
    for (unsigned i = 0; i < at.code.size; ++i) at.code.bytes[i] = in.u8();
    if (!in.ok()) return std::nullopt;
    context.code_rip = at.rip;
    return at;
}

std::vector<std::uint8_t> encode_header(const TraceInfo& info) {
    HeaderBytes body;
    body.string(info.scenario);
    body.string(info.program_version);
    body.varint(zigzag(info.start_date));
    body.varint(info.events.size());
    for (const TraceEventDescription& row : info.events) {
        body.string(row.name);
        body.u8(static_cast<std::uint8_t>(static_cast<std::uint8_t>(row.level) |
                                          (row.has_code ? kWithCode : 0)));
        for (const std::string& argument : row.arguments) body.string(argument);
    }
    body.varint(info.names.tables().size());
    for (const auto& [argument, values] : info.names.tables()) {
        body.u8(argument.kind);
        body.u8(argument.index);
        body.varint(values.size());
        for (const auto& [value, name] : values) {
            body.varint(value);
            body.string(name);
        }
    }
    body.varint(info.inputs.settings.size());
    for (const std::string& setting : info.inputs.settings) body.string(setting);
    body.varint(info.inputs.files.size());
    for (const RunInput& input : info.inputs.files) {
        body.string(input.role);
        body.string(input.file);
        body.string(input.sha256);
    }
    HeaderBytes header;
    header.text(kTraceMagic);
    header.fixed(kTraceVersion, 4);
    header.fixed(body.bytes.size(), 4);
    header.bytes.insert(header.bytes.end(), body.bytes.begin(), body.bytes.end());
    header.fixed(XXH64(body.bytes.data(), body.bytes.size(), 0), 8);
    return std::move(header.bytes);
}

namespace {

RunInputs decode_inputs(ByteParser& in) {
    RunInputs inputs;
    const std::uint64_t settings = in.varint();
    for (std::uint64_t i = 0; i < settings && in.ok(); ++i)
        inputs.settings.emplace_back(in.string());
    const std::uint64_t files = in.varint();
    for (std::uint64_t i = 0; i < files && in.ok(); ++i) {
        RunInput& input = inputs.files.emplace_back();
        input.role = in.string();
        input.file = in.string();
        input.sha256 = in.string();
    }
    return inputs;
}

}  // namespace

std::optional<TraceInfo> decode_header_body(std::span<const std::uint8_t> body) {
    ByteParser in(body);
    TraceInfo info;
    info.scenario = in.string();
    info.program_version = in.string();
    info.start_date = unzigzag(in.varint());
    const std::uint64_t kinds = in.varint();
    if (kinds > 128) return std::nullopt;
    for (std::uint64_t i = 0; i < kinds && in.ok(); ++i) {
        TraceEventDescription& row = info.events.emplace_back();
        row.name = in.string();
        const std::uint8_t level = in.u8();
        const unsigned kept = level & ~unsigned{kWithCode};
        row.level = kept == 0   ? EventLevel::event
                    : kept == 1 ? EventLevel::walk
                                : EventLevel::sample;
        row.has_code = (level & kWithCode) != 0;
        for (std::string& argument : row.arguments) argument = in.string();
    }
    const std::uint64_t tables = in.varint();
    for (std::uint64_t i = 0; i < tables && in.ok(); ++i) {
        TraceNames::Argument argument;
        argument.kind = in.u8();
        argument.index = in.u8();
        const std::uint64_t values = in.varint();
        for (std::uint64_t j = 0; j < values && in.ok(); ++j) {
            const std::uint64_t value = in.varint();
            info.names.add(argument, value, in.string());
        }
    }
    info.inputs = decode_inputs(in);
    if (!in.ok() || in.left() != 0) return std::nullopt;
    return info;
}

}  // namespace hvsim::sim
