// A subscriber in C++17: prints the newest message of one topic, as node/PROTOCOL.md describes it.
//
//     cloudypoints_listen tcp://127.0.0.1:5556 obstacles/front [--count N]
//     cloudypoints_listen tcp://127.0.0.1:5557 cloud/front          (the bulk lane: the next port)

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <iterator>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <msgpack.hpp>
#include <zmq.hpp>
#include <zmq_addon.hpp>

namespace {

constexpr std::int64_t kMajor = 1;
constexpr std::size_t kMaxHeaderBytes = 64 << 10, kMaxBufferBytes = 256 << 20, kMaxParts = 18;

using Map = std::map<std::string, msgpack::object>;
using Parts = std::vector<zmq::message_t>;

struct VersionError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Point {  // little-endian on the wire, as on every machine this is built for
    float x, y, z;  // metres in the camera's optical frame; NaN where unknown
    std::uint8_t r, g, b, label;
};
static_assert(sizeof(Point) == 16);

void require(bool holds, const char* otherwise) {
    if (!holds) throw std::runtime_error(otherwise);
}

// The header as a map; `handle` owns what it points into.
Map header_of(const zmq::message_t& part, msgpack::object_handle& handle) {
    require(part.size() <= kMaxHeaderBytes, "header larger than the protocol allows");
    const std::size_t most = kMaxHeaderBytes;
    const msgpack::unpack_limit limit(1024, 1024, most, most, most, 32);  // arrays ... depth
    std::size_t used = 0;
    msgpack::unpack(handle, part.data<char>(), part.size(), used, nullptr, nullptr, limit);
    Map header = handle->as<Map>();
    const auto version = header.at("v").as<std::vector<std::int64_t>>();
    if (version.at(0) != kMajor)
        throw VersionError("messages of protocol version " + std::to_string(version[0]) +
                           ", this program speaks " + std::to_string(kMajor));
    return header;
}

// Every buffer must have the size that the header states. Returns the shape of the first.
std::vector<std::uint64_t> checked_shape(const Map& header, const Parts& parts) {
    const auto buffers = header.at("buffers").as<std::vector<Map>>();
    require(buffers.size() == parts.size() - 2, "more or fewer buffers than the header names");
    for (std::size_t i = 0; i < buffers.size(); ++i) {
        const std::size_t size = parts[2 + i].size();
        require(size <= kMaxBufferBytes, "buffer larger than the protocol allows");
        require(buffers[i].at("bytes").as<std::uint64_t>() == size, "buffer size is not as stated");
    }
    if (buffers.empty()) return {};
    return buffers[0].at("shape").as<std::vector<std::uint64_t>>();
}

double age_ms(const Map& header) {
    const auto captured_ns = header.at("ledger").as<Map>().at("captured_ns").as<std::int64_t>();
    const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
    return (now.count() - captured_ns) / 1e6;
}

void print_obstacles(std::ostream& line, const Map& body) {
    line << " nearest " << body.at("nearest_m").as<double>() << " m corridor "
         << body.at("corridor_m").as<double>() << " m state " << body.at("state").as<std::string>();
}

void print_cloud(std::ostream& line, const std::vector<std::uint64_t>& shape,
                 const zmq::message_t& points) {
    std::uint64_t count = 1;
    for (const std::uint64_t side : shape) {
        require(side <= kMaxBufferBytes && count <= kMaxBufferBytes, "shape is too large");
        count *= side;
    }
    require(count * sizeof(Point) == points.size(), "points do not fill their shape");
    float nearest_m = NAN;
    for (std::size_t at = 0; at < points.size(); at += sizeof(Point)) {
        Point point;
        std::memcpy(&point, points.data<char>() + at, sizeof(Point));
        if (std::isfinite(point.z) && !(point.z >= nearest_m)) nearest_m = point.z;
    }
    line << " points " << count << " nearest " << nearest_m << " m";
}

void print(const Parts& parts) {
    require(parts.size() >= 2 && parts.size() <= kMaxParts, "too few or too many parts");
    msgpack::object_handle handle;
    const Map header = header_of(parts[1], handle);
    const auto kind = header.at("kind").as<std::string>();
    const auto topic = kind + "/" + header.at("camera").as<std::string>();
    require(parts[0].to_string() == topic + '\0', "the topic is not the header's");
    const auto shape = checked_shape(header, parts);
    std::ostringstream line;  // printed only when all of it could be read
    line << topic << " seq " << header.at("seq").as<std::uint64_t>() << " age " << age_ms(header)
         << " ms";
    if (kind == "obstacles") print_obstacles(line, header.at("body").as<Map>());
    if (kind == "cloud") print_cloud(line, shape, parts.at(2));
    std::cout << line.str() << std::endl;
}

// The newest message there is: what piled up behind a slow reader is passed over. Empty after 1 s.
Parts newest(zmq::socket_t& socket) {
    Parts parts, later;
    if (!zmq::recv_multipart(socket, std::back_inserter(parts))) return {};
    while (zmq::recv_multipart(socket, std::back_inserter(later), zmq::recv_flags::dontwait)) {
        parts.swap(later);
        later.clear();
    }
    return parts;
}

void listen(const std::string& endpoint, std::string topic, long count) {
    topic += topic.find('/') == std::string::npos ? '/' : '\0';  // a kind alone: all its cameras
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::sub);
    socket.set(zmq::sockopt::rcvhwm, 8);  // before connect, or it does not hold
    socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMaxBufferBytes));
    socket.set(zmq::sockopt::rcvtimeo, 1000);
    socket.set(zmq::sockopt::subscribe, topic);
    socket.connect(endpoint);
    while (count > 0) try {
        const Parts parts = newest(socket);
        require(!parts.empty(), "nothing for a second; is the node up?");
        print(parts);
        --count;
    } catch (const VersionError&) {
        throw;
    } catch (const std::exception& error) {
        std::cerr << "no message: " << error.what() << std::endl;
    }
}

}  // namespace

int main(int argc, char** argv) try {
    const bool counted = argc == 5 && std::string(argv[3]) == "--count";
    if (argc != 3 && !counted) {
        std::cerr << "usage: " << argv[0] << " ENDPOINT TOPIC [--count N]" << std::endl;
        return 2;
    }
    listen(argv[1], argv[2], counted ? std::stol(argv[4]) : std::numeric_limits<long>::max());
    return 0;
} catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << std::endl;
    return 1;
}
