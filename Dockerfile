# One image for all programs: hadr webhook, hadr sidecar, hadr decider and the commands for people.
# docker build --tag gitlab-runner-hadr .
FROM node:24-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json ./
# The package's own `prepare` would build before its sources are here.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && image/root.sh "$(command -v node)" dist /root-of-image

FROM scratch
COPY --from=build /root-of-image /
# A number, so that Kubernetes can see that it is not root. Any other user works as well.
USER 65532:65532
ENV NODE_ENV=production
ENTRYPOINT ["/usr/local/bin/node", "/app/hadr.cjs"]
CMD ["--help"]
