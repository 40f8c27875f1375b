#include "sim/trace_writer.h"

#include <fmt/format.h>
#include <zstd.h>

#include <cerrno>
#include <cstring>

#include "sim/error.h"

namespace hvsim::sim {
namespace {

// Level 1 halves the time of the default level for a tenth more bytes; the encoding has already
// taken out what is easy.
constexpr int kCompressionLevel = 1;

constexpr auto kRipArguments = [] {
    std::array<std::uint8_t, static_cast<std::size_t>(EventKind::kCount)> table{};
    for (std::size_t kind = 0; kind < table.size(); ++kind)
        table[kind] = static_cast<std::uint8_t>(rip_argument(static_cast<EventKind>(kind)));
    return table;
}();

std::uint8_t* put_fixed(std::uint8_t* out, std::uint64_t value, unsigned size) noexcept {
    for (unsigned i = 0; i < size; ++i) *out++ = static_cast<std::uint8_t>(value >> 8 * i);
    return out;
}

}  // namespace

struct TraceWriter::Compressor {
    std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context{ZSTD_createCCtx(),
                                                                    ZSTD_freeCCtx};
    std::vector<std::uint8_t> output;
};

TraceWriter::TraceWriter(std::filesystem::path path, TraceInfo info)
    : path_(std::move(path)),
      file_(std::fopen(path_.c_str(), "wb")),
      compressor_(std::make_unique<Compressor>()) {
    if (!file_)
        throw ConfigError(
            fmt::format("cannot create trace file {}: {}", path_.string(), std::strerror(errno)));
    SIM_ASSERT(compressor_->context != nullptr);
    ZSTD_CCtx_setParameter(compressor_->context.get(), ZSTD_c_compressionLevel, kCompressionLevel);
    ZSTD_CCtx_setParameter(compressor_->context.get(), ZSTD_c_checksumFlag, 1);
    pending_.resize(1 << 20);
    info.events = describe_events();
    const std::vector<std::uint8_t> header = encode_header(info);
    write(header.data(), header.size());
}

TraceWriter::~TraceWriter() {
    try {
        finish();
    } catch (const ConfigError&) {
        // Nobody is left to tell.
    }
}

/// The code of the event that comes, where the block has not given the same for its RIP.
void TraceWriter::put_code(std::uint64_t rip) {
    GivenCode& given = codes_[(rip ^ rip >> 10 ^ rip >> 20) % kCodesKept];
    if (given.rip != rip || given.code != code_) {
        given = {rip, code_};
        std::uint8_t* const begin = pending_.data() + pending_size_;
        pending_size_ += static_cast<std::size_t>(encode_code(context_, rip, code_, begin) - begin);
    }
    code_ = {};
}

void TraceWriter::on_event(const Event& event) {
    if (error_ != 0) return;
    if (pending_size_ + kTraceEventMax + kTraceCodeMax > pending_.size())
        pending_.resize(pending_.size() * 2);
    if (has_code(event.kind))
        put_code(event.arguments[kRipArguments[static_cast<std::size_t>(event.kind)]]);
    std::uint8_t* const begin = pending_.data() + pending_size_;
    pending_size_ += static_cast<std::size_t>(encode_event(context_, event, begin) - begin);
    if (event.time < block_.least) block_.least = event.time;
    if (event.time > block_.greatest) block_.greatest = event.time;
    ++events_;
    if (++block_.events == kTraceBlockEvents) write_block();
}

void TraceWriter::write(const void* data, std::size_t size) noexcept {
    if (error_ != 0) return;
    errno = 0;
    if (std::fwrite(data, 1, size, file_.get()) != size) {
        error_ = errno != 0 ? errno : EIO;
        return;
    }
    offset_ += size;
}

std::size_t TraceWriter::compress(std::size_t fixed, const void* data, std::size_t size) {
    std::vector<std::uint8_t>& output = compressor_->output;
    output.resize(fixed + ZSTD_compressBound(size));
    const std::size_t compressed = ZSTD_compress2(compressor_->context.get(), output.data() + fixed,
                                                  output.size() - fixed, data, size);
    SIM_ASSERT(ZSTD_isError(compressed) == 0);
    return compressed;
}

void TraceWriter::write_block() {
    const std::size_t size = compress(kTraceBlockFixed, pending_.data(), pending_size_);
    std::vector<std::uint8_t>& output = compressor_->output;
    std::memcpy(output.data(), kTraceBlock.data(), kTraceBlock.size());
    std::uint8_t* out = output.data() + kTraceBlock.size();
    out = put_fixed(out, size, 4);
    out = put_fixed(out, block_.events, 4);
    out = put_fixed(out, block_.least, 8);
    put_fixed(out, block_.greatest, 8);
    block_.offset = offset_;
    write(output.data(), kTraceBlockFixed + size);
    blocks_.push_back(block_);
    block_ = {};
    context_ = {};
    codes_.assign(kCodesKept, {});
    pending_size_ = 0;
}

void TraceWriter::write_result() {
    if (result_.empty() || result_.size() > kTraceResultMax) return;
    const std::size_t size = compress(kTraceResultFixed, result_.data(), result_.size());
    std::vector<std::uint8_t>& output = compressor_->output;
    std::memcpy(output.data(), kTraceResult.data(), kTraceResult.size());
    std::uint8_t* out = output.data() + kTraceResult.size();
    out = put_fixed(out, size, 4);
    put_fixed(out, result_.size(), 4);
    write(output.data(), kTraceResultFixed + size);
}

void TraceWriter::write_index() {
    std::vector<std::uint8_t> index(kTraceIndex.begin(), kTraceIndex.end());
    const auto put = [&](std::uint64_t value) {
        std::uint8_t buffer[10];
        index.insert(index.end(), buffer, put_varint(buffer, value));
    };
    put(blocks_.size());
    for (const Block& block : blocks_) {
        put(block.offset);
        put(block.events);
        put(block.least);
        put(block.greatest);
    }
    std::uint8_t buffer[8];
    index.insert(index.end(), buffer, put_fixed(buffer, offset_, 8));
    index.insert(index.end(), kTraceEnd.begin(), kTraceEnd.end());
    write(index.data(), index.size());
}

void TraceWriter::finish() {
    if (!file_) return;
    if (block_.events > 0) write_block();
    write_result();
    write_index();
    errno = 0;
    if (std::fclose(file_.release()) != 0 && error_ == 0) error_ = errno != 0 ? errno : EIO;
    if (error_ != 0)
        throw ConfigError(
            fmt::format("cannot write trace file {}: {}", path_.string(), std::strerror(error_)),
            "what was written before can be read");
}

}  // namespace hvsim::sim
