#include "devices/disk_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "devices/vhd_footer.h"
#include "sim/recorder.h"

namespace hvsim::devices {
namespace {

[[noreturn]] void host_error(const std::string& path, std::string_view what, int error) {
    throw sim::ConfigError(sim::SourceLocation{path},
                           fmt::format("cannot {} the disk image: {}", what, std::strerror(error)),
                           error == ENOENT   ? "check the path; build the image first"
                           : error == EACCES ? "check the file's permissions"
                                             : "");
}

}  // namespace

ImageFormat image_format_of(const std::filesystem::path& path) {
    const std::string extension = path.extension().string();
    if (extension == ".vhd") return ImageFormat::fixed_vhd;
    if (extension.empty() || extension == ".img" || extension == ".raw" || extension == ".iso")
        return ImageFormat::raw;
    throw sim::ConfigError(sim::SourceLocation{path.string()},
                           fmt::format("disk images of format '{}' are not supported", extension),
                           "convert it: qemu-img convert -O raw OLD NEW.img, or "
                           "qemu-img convert -O vpc -o subformat=fixed,force_size=on OLD NEW.vhd");
}

DiskImage::DiskImage(const ImageConfig& config)
    : path_(config.path.string()), mode_(config.mode), block_size_(config.block_size) {
    const bool writable = mode_ == ImageMode::in_place;
    file_ = ::open(path_.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (file_ < 0) host_error(path_, "open", errno);
    try {
        const off_t end = ::lseek(file_, 0, SEEK_END);
        if (end < 0) host_error(path_, "measure", errno);
        size_ = static_cast<std::uint64_t>(end);
        const sim::SourceLocation where{path_};
        if (config.format == ImageFormat::fixed_vhd) {
            if (size_ < spec::vhd::kFooterSize)
                throw sim::ConfigError(
                    where, fmt::format("not a VHD: {} bytes, the footer alone has 512", size_),
                    "the image is cut short; copy it again");
            VhdFooter footer;
            read_base(size_ - footer.size(), footer);
            size_ = parse_vhd_footer(footer, size_, where).disk_size;
        }
        check_size(where);
    } catch (...) {
        ::close(file_);
        throw;
    }
}

DiskImage::DiskImage(std::uint64_t size, std::uint32_t block_size)
    : size_(size), block_size_(block_size) {
    check_size({});
}

DiskImage::~DiskImage() {
    if (file_ >= 0) ::close(file_);
}

void DiskImage::check_size(const sim::SourceLocation& where) const {
    if (block_size_ != 512 && block_size_ != 4096)
        throw sim::ConfigError(where, fmt::format("block size {} of a disk", block_size_),
                               "use 512 or 4096");
    if (size_ == 0 || size_ % block_size_ != 0)
        throw sim::ConfigError(
            where,
            fmt::format("disk of {} bytes, not a positive multiple of its block size {}", size_,
                        block_size_),
            fmt::format("round the size up, for a raw file with: truncate -s %{}", block_size_));
}

void DiskImage::read_base(std::uint64_t offset, std::span<std::uint8_t> out) const {
    if (file_ < 0) {
        std::fill(out.begin(), out.end(), std::uint8_t{0});
        return;
    }
    while (!out.empty()) {
        const ssize_t got = ::pread(file_, out.data(), out.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) host_error(path_, "read", errno);
        if (got == 0)
            throw sim::ConfigError(sim::SourceLocation{path_},
                                   "the disk image became shorter during the run",
                                   "nothing else may write to it meanwhile");
        out = out.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
}

void DiskImage::read_unwritten(std::uint64_t offset, std::span<std::uint8_t> out) const {
    while (!out.empty()) {
        const std::uint64_t page = sim::page_of(offset);
        const auto next = zeroed_.upper_bound(page);
        const bool zero = next != zeroed_.begin() && std::prev(next)->second > page;
        std::uint64_t bytes = out.size();
        if (zero)
            bytes = std::min(bytes, std::prev(next)->second * sim::kPageSize - offset);
        else if (next != zeroed_.end())
            bytes = std::min(bytes, next->first * sim::kPageSize - offset);
        if (zero)
            std::memset(out.data(), 0, bytes);
        else
            read_base(offset, out.first(bytes));
        out = out.subspan(bytes);
        offset += bytes;
    }
}

void DiskImage::write_base(std::uint64_t offset, std::span<const std::uint8_t> in) {
    while (!in.empty()) {
        const ssize_t put = ::pwrite(file_, in.data(), in.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) host_error(path_, "write", put < 0 ? errno : ENOSPC);
        in = in.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

void DiskImage::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
    SIM_ASSERT(contains(offset, out.size()));
    while (!out.empty()) {
        // One page of the overlay, or everything up to its next page.
        const std::uint64_t page = sim::page_of(offset);
        const auto changed = overlay_.lower_bound(page);
        std::size_t bytes = out.size();
        if (changed != overlay_.end() && changed->first == page) {
            const std::uint64_t at = offset % sim::kPageSize;
            bytes = std::min<std::uint64_t>(bytes, sim::kPageSize - at);
            std::memcpy(out.data(), changed->second->data() + at, bytes);
        } else {
            if (changed != overlay_.end())
                bytes = std::min<std::uint64_t>(bytes, changed->first * sim::kPageSize - offset);
            read_unwritten(offset, out.first(bytes));
        }
        out = out.subspan(bytes);
        offset += bytes;
    }
}

DiskImage::Page& DiskImage::writable_page(std::uint64_t page) {
    std::unique_ptr<Page>& place = overlay_[page];
    if (!place) {
        place = std::make_unique<Page>();
        const std::uint64_t start = page * sim::kPageSize;
        read_unwritten(start, std::span(*place).first(std::min(sim::kPageSize, size_ - start)));
    }
    return *place;
}

void DiskImage::write(std::uint64_t offset, std::span<const std::uint8_t> in) {
    SIM_ASSERT(contains(offset, in.size()));
    if (mode_ == ImageMode::in_place) {
        write_base(offset, in);
        return;
    }
    while (!in.empty()) {
        const std::uint64_t at = offset % sim::kPageSize;
        const std::size_t bytes = std::min<std::uint64_t>(in.size(), sim::kPageSize - at);
        std::memcpy(writable_page(sim::page_of(offset)).data() + at, in.data(), bytes);
        in = in.subspan(bytes);
        offset += bytes;
    }
}

void DiskImage::zero(std::uint64_t offset, std::uint64_t length) {
    SIM_ASSERT(contains(offset, length));
    static constexpr std::array<std::uint8_t, 64 * sim::kPageSize> kZeros{};
    while (length != 0) {
        const std::uint64_t at = offset % sim::kPageSize;
        std::uint64_t bytes = std::min(length, sim::kPageSize - at);
        if (mode_ == ImageMode::in_place) {
            bytes = std::min<std::uint64_t>(length, kZeros.size());
            write_base(offset, std::span(kZeros).first(bytes));
        } else if (bytes == sim::kPageSize) {
            const std::uint64_t pages = length / sim::kPageSize;
            bytes = pages * sim::kPageSize;
            zero_pages(sim::page_of(offset), sim::page_of(offset) + pages);
        } else {
            std::memset(writable_page(sim::page_of(offset)).data() + at, 0, bytes);
        }
        offset += bytes;
        length -= bytes;
    }
}

void DiskImage::zero_pages(std::uint64_t first, std::uint64_t end) {
    overlay_.erase(overlay_.lower_bound(first), overlay_.lower_bound(end));
    if (file_ < 0) return;  // the base is zeros already
    auto next = zeroed_.upper_bound(first);
    if (next != zeroed_.begin() && std::prev(next)->second >= first) {
        --next;
        first = next->first;
    }
    while (next != zeroed_.end() && next->first <= end) {
        end = std::max(end, next->second);
        next = zeroed_.erase(next);
    }
    zeroed_.emplace(first, end);
}

void DiskImage::flush() {
    if (mode_ == ImageMode::in_place && file_ >= 0 && ::fdatasync(file_) != 0)
        host_error(path_, "flush", errno);
}

std::string DiskImage::digest() const {
    sim::Digest digest;
    std::vector<std::uint8_t> chunk(256 * sim::kPageSize);
    for (std::uint64_t offset = 0; offset < size_; offset += chunk.size()) {
        const std::span part =
            std::span(chunk).first(std::min<std::uint64_t>(chunk.size(), size_ - offset));
        read(offset, part);
        digest.add_bytes(part.data(), part.size());
    }
    return digest.hex();
}

void write_fixed_vhd(const std::filesystem::path& path, std::span<const std::uint8_t> data) {
    const std::uint64_t rounded = (data.size() + spec::vhd::kSectorSize - 1) /
                                  spec::vhd::kSectorSize * spec::vhd::kSectorSize;
    const std::vector<char> padding(rounded - data.size());
    const VhdFooter footer = make_vhd_footer({rounded, {}});
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(data.data()),
               static_cast<std::streamsize>(data.size()));
    file.write(padding.data(), static_cast<std::streamsize>(padding.size()));
    file.write(reinterpret_cast<const char*>(footer.data()), footer.size());
    if (!file.flush())
        throw sim::ConfigError(sim::SourceLocation{path.string()}, "cannot write the disk image");
}

}  // namespace hvsim::devices
