#pragma once
// The bytes behind a simulated disk: a file of the host, with the guest's changes kept apart, or
// memory alone.
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "sim/error.h"
#include "sim/ram.h"

namespace hvsim::devices {

enum class ImageFormat : std::uint8_t { raw, fixed_vhd };

enum class ImageMode : std::uint8_t {
    copy_on_write,  ///< the file is only read; changes live in the simulator and end with it
    in_place,       ///< changes go to the file: only where the user asks for it
};

struct ImageConfig {
    std::filesystem::path path;
    ImageFormat format = ImageFormat::raw;
    ImageMode mode = ImageMode::copy_on_write;
    std::uint32_t block_size = 512;  ///< 512 or 4096
};

/// By the name's extension: .vhd, or .img, .raw, .iso and none. ConfigError for other formats'.
ImageFormat image_format_of(const std::filesystem::path& path);

/// A disk's content. Offsets and lengths are bytes; callers check them against size() first, so an
/// access outside is a failed assertion. A host I/O error throws ConfigError with the file's name.
class DiskImage {
  public:
    /// Opens and checks a file. ConfigError: it cannot be opened, is empty, its size is not a
    /// multiple of the block size, or its format is broken.
    explicit DiskImage(const ImageConfig& config);
    /// A disk of zeros in memory. ConfigError if `size` is not a positive multiple of `block_size`.
    DiskImage(std::uint64_t size, std::uint32_t block_size);
    ~DiskImage();
    DiskImage(const DiskImage&) = delete;
    DiskImage& operator=(const DiskImage&) = delete;

    std::uint64_t size() const noexcept { return size_; }
    std::uint32_t block_size() const noexcept { return block_size_; }
    std::uint64_t blocks() const noexcept { return size_ / block_size_; }

    void read(std::uint64_t offset, std::span<std::uint8_t> out) const;
    void write(std::uint64_t offset, std::span<const std::uint8_t> in);
    /// Afterwards the range reads as zeros; takes no host memory for whole pages.
    void zero(std::uint64_t offset, std::uint64_t length);
    /// Changes of an in-place image are on the host's disk.
    void flush();

    /// Pages of 4 KiB that have been written (and not zeroed since).
    std::uint64_t changed_pages() const noexcept { return overlay_.size(); }
    /// 32 hexadecimal digits over the whole content: the same for equal contents however they came.
    std::string digest() const;

  private:
    using Page = std::array<std::uint8_t, sim::kPageSize>;

    void check_size(const sim::SourceLocation& where) const;
    bool contains(std::uint64_t offset, std::uint64_t length) const noexcept {
        return length <= size_ && offset <= size_ - length;
    }
    void read_base(std::uint64_t offset, std::span<std::uint8_t> out) const;
    void read_unwritten(std::uint64_t offset, std::span<std::uint8_t> out) const;
    void zero_pages(std::uint64_t first, std::uint64_t end);
    void write_base(std::uint64_t offset, std::span<const std::uint8_t> in);
    Page& writable_page(std::uint64_t page);

    std::string path_;
    int file_ = -1;  // -1: the base is all zeros
    ImageMode mode_ = ImageMode::copy_on_write;
    std::uint64_t size_ = 0;
    std::uint32_t block_size_ = 512;
    // Written pages by page number; elsewhere pages [first, second) of zeroed_ read as zeros; what
    // is in neither is the file's. Ranges, so that discarding a whole disk is cheap.
    std::map<std::uint64_t, std::unique_ptr<Page>> overlay_;
    std::map<std::uint64_t, std::uint64_t> zeroed_;
};

/// Writes `data` (padded with zeros to a multiple of 512) and a fixed VHD's footer to a new file.
void write_fixed_vhd(const std::filesystem::path& path, std::span<const std::uint8_t> data);

}  // namespace hvsim::devices
