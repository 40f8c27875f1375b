#include "sim/trace_reader.h"

#include <xxhash.h>
#include <zstd.h>

#include <algorithm>

namespace hvsim::sim {

std::string_view to_string(TraceProblem problem) {
    switch (problem) {
        case TraceProblem::cannot_open:
            return "cannot be opened";
        case TraceProblem::foreign:
            return "is not a trace file";
        case TraceProblem::other_version:
            return "is a trace of a version this program cannot read";
        case TraceProblem::truncated_header:
            return "ends within its header";
        case TraceProblem::damaged_header:
            return "has a damaged header";
    }
    return "cannot be read";
}

struct TraceReader::Decompressor {
    std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context{ZSTD_createDCtx(),
                                                                    ZSTD_freeDCtx};
};

TraceReader::TraceReader(std::ifstream file, std::uint64_t size)
    : file_(std::move(file)), size_(size), decompressor_(std::make_unique<Decompressor>()) {}
TraceReader::TraceReader(TraceReader&&) noexcept = default;
TraceReader& TraceReader::operator=(TraceReader&&) noexcept = default;
TraceReader::~TraceReader() = default;

std::variant<TraceReader, TraceProblem> TraceReader::open(const std::filesystem::path& path) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error);
    std::ifstream file(path, std::ios::binary);
    if (error || !file) return TraceProblem::cannot_open;
    TraceReader reader(std::move(file), size);
    if (const auto problem = reader.read_header()) return *problem;
    return reader;
}

bool TraceReader::read_exactly(std::size_t size, std::vector<std::uint8_t>& out) {
    if (size > size_ - offset_) return false;
    out.resize(size);
    file_.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(size));
    if (static_cast<std::size_t>(file_.gcount()) != size) return false;
    offset_ += size;
    return true;
}

std::optional<TraceProblem> TraceReader::read_header() {
    const std::size_t there =
        static_cast<std::size_t>(std::min<std::uint64_t>(size_, kTraceHeaderFixed));
    if (!read_exactly(there, input_)) return TraceProblem::cannot_open;
    ByteParser fixed(input_);
    const std::string_view magic = fixed.text(std::min(there, kTraceMagic.size()));
    if (!kTraceMagic.starts_with(magic) || there == 0) return TraceProblem::foreign;
    if (there < kTraceHeaderFixed) return TraceProblem::truncated_header;
    if (fixed.u32() != kTraceVersion) return TraceProblem::other_version;
    const std::uint32_t body_size = fixed.u32();
    if (!read_exactly(std::size_t{body_size} + 8, input_)) return TraceProblem::truncated_header;
    const std::span<const std::uint8_t> body(input_.data(), body_size);
    ByteParser checksum(std::span<const std::uint8_t>{input_}.subspan(body_size));
    if (checksum.u64() != XXH64(body.data(), body.size(), 0)) return TraceProblem::damaged_header;
    auto info = decode_header_body(body);
    if (!info) return TraceProblem::damaged_header;
    info_ = std::move(*info);
    return std::nullopt;
}

bool TraceReader::stop(TraceStatus status) noexcept {
    status_ = status;
    return false;
}

/// The end of a complete file: the index must be whole; its entries are not needed here.
bool TraceReader::check_end() {
    const std::uint64_t index = offset_;
    std::vector<std::uint8_t> tail;
    if (!read_exactly(static_cast<std::size_t>(size_ - offset_), tail))
        return stop(TraceStatus::truncated);
    ByteParser in(tail);
    in.text(kTraceIndex.size());
    const std::uint64_t blocks = in.varint();
    for (std::uint64_t i = 0; i < blocks && in.ok(); ++i)
        for (int field = 0; field < 4; ++field) in.varint();
    const std::uint64_t start = in.u64();
    const std::string_view end = in.text(kTraceEnd.size());
    if (!in.ok()) return stop(TraceStatus::truncated);
    const bool whole = start == index && end == kTraceEnd && in.left() == 0;
    return stop(whole ? TraceStatus::complete : TraceStatus::damaged);
}

/// The result, its mark already read; what follows it is the index.
bool TraceReader::read_result() {
    if (!read_exactly(kTraceResultFixed - kTraceResult.size(), input_))
        return stop(TraceStatus::truncated);
    ByteParser in(input_);
    const std::uint32_t compressed = in.u32();
    const std::uint32_t size = in.u32();
    if (size > kTraceResultMax || compressed > ZSTD_compressBound(kTraceResultMax))
        return stop(TraceStatus::damaged);
    if (!read_exactly(compressed, input_)) return stop(TraceStatus::truncated);
    std::string result(size, '\0');
    const std::size_t read =
        ZSTD_decompress(result.data(), result.size(), input_.data(), input_.size());
    if (ZSTD_isError(read) != 0 || read != size) return stop(TraceStatus::damaged);
    result_ = std::move(result);
    return true;
}

/// Reads the next block's header. False ends the reading: status_ says why.
bool TraceReader::block_header(std::uint32_t& compressed) {
    const auto mark = [this]() -> std::string {
        std::vector<std::uint8_t> bytes;
        if (!read_exactly(kTraceBlock.size(), bytes)) return {};
        return {bytes.begin(), bytes.end()};
    };
    std::string text = mark();
    if (text == kTraceResult) {
        if (!read_result()) return false;
        text = mark();
        if (text == kTraceBlock) return stop(TraceStatus::damaged);
    }
    if (text.empty()) return stop(TraceStatus::truncated);
    if (text == kTraceIndex) {
        offset_ -= kTraceIndex.size();
        file_.seekg(static_cast<std::streamoff>(offset_));
        return check_end();
    }
    if (text != kTraceBlock) return stop(TraceStatus::damaged);
    if (!read_exactly(kTraceBlockFixed - kTraceBlock.size(), input_))
        return stop(TraceStatus::truncated);
    ByteParser in(input_);
    compressed = in.u32();
    block_left_ = in.u32();
    block_least_ = in.u64();
    block_greatest_ = in.u64();
    if (block_left_ == 0 || block_left_ > kTraceBlockEvents ||
        compressed > ZSTD_compressBound(kTraceBlockBytesMax))
        return stop(TraceStatus::damaged);
    return true;
}

/// Decompresses the block's frame, as far as the file has it.
bool TraceReader::decompress(std::uint32_t compressed) {
    const std::uint64_t there = std::min<std::uint64_t>(compressed, size_ - offset_);
    cut_ = there < compressed;
    if (!read_exactly(static_cast<std::size_t>(there), input_)) return stop(TraceStatus::truncated);
    ZSTD_DCtx* const context = decompressor_->context.get();
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    block_.clear();
    ZSTD_inBuffer in{input_.data(), input_.size(), 0};
    for (std::size_t left = 1; left != 0;) {
        const std::size_t filled = block_.size();
        if (filled > kTraceBlockBytesMax) return stop(TraceStatus::damaged);
        block_.resize(filled + ZSTD_DStreamOutSize());
        ZSTD_outBuffer out{block_.data() + filled, block_.size() - filled, 0};
        left = ZSTD_decompressStream(context, &out, &in);
        block_.resize(filled + out.pos);
        if (ZSTD_isError(left) != 0) return stop(TraceStatus::damaged);
        if (out.pos == 0 && in.pos == in.size && left != 0) {
            if (cut_) break;
            return stop(TraceStatus::damaged);
        }
    }
    if (in.pos != in.size) return stop(TraceStatus::damaged);
    context_ = {};
    codes_.clear();
    block_position_ = 0;
    return true;
}

bool TraceReader::next_block() {
    if (!cut_ && block_position_ != block_.size()) return stop(TraceStatus::damaged);
    for (;;) {
        std::uint32_t compressed = 0;
        if (!block_header(compressed)) return false;
        const bool wanted = block_greatest_ >= from_ && block_least_ <= to_;
        if (wanted || compressed > size_ - offset_) return decompress(compressed);
        offset_ += compressed;
        file_.seekg(static_cast<std::streamoff>(offset_));
    }
}

/// Takes the code bytes that come before the next event. False: they are not whole.
bool TraceReader::take_codes() {
    ByteParser in(std::span<const std::uint8_t>{block_}.subspan(block_position_));
    const std::size_t begin = block_position_;
    while (const auto at = decode_code(context_, in)) {
        codes_[at->rip] = at->code;
        block_position_ = begin + in.position();
    }
    if (!in.ok()) status_ = cut_ ? TraceStatus::truncated : TraceStatus::damaged;
    return in.ok();
}

const Code* TraceReader::find_code(const Event& event) const {
    const TraceEventDescription& row = info_.events[static_cast<std::size_t>(event.kind)];
    if (!row.has_code) return nullptr;
    const auto rip = std::find(row.arguments.begin(), row.arguments.end(), "rip");
    if (rip == row.arguments.end()) return nullptr;
    const auto found =
        codes_.find(event.arguments[static_cast<std::size_t>(rip - row.arguments.begin())]);
    return found == codes_.end() || found->second.size == 0 ? nullptr : &found->second;
}

std::optional<Event> TraceReader::next() {
    code_ = nullptr;
    while (status_ == TraceStatus::reading) {
        if (block_left_ == 0 && !next_block()) {
            block_left_ = 0;
            return std::nullopt;
        }
        if (!take_codes()) {
            block_left_ = 0;
            return std::nullopt;
        }
        ByteParser in(std::span<const std::uint8_t>{block_}.subspan(block_position_));
        if (const auto event = decode_event(context_, in, info_.events.size())) {
            block_position_ += in.position();
            --block_left_;
            code_ = find_code(*event);
            return event;
        }
        status_ = cut_ && !in.ok() ? TraceStatus::truncated : TraceStatus::damaged;
        block_left_ = 0;
    }
    return std::nullopt;
}

}  // namespace hvsim::sim
